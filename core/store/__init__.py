"""The store: indexes, pages, and writes that survive a lost reply."""
