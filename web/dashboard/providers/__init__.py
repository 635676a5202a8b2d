"""Providers: how each does by day, whose breaker is open, and the workspace's keys for them."""
