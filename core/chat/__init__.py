"""Chats as jobs: what is read when one is accepted, what a worker does with it, and what was said before."""
