"""Chats as jobs: the plan that is made when one is accepted, the work on it, and its conversation."""
