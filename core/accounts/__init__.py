"""Accounts: workspaces, and the keys that act in them."""
