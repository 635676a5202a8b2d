"""Agents: who is asked, how, and with whose key."""
