"""Doors: the ways in that make jobs, and what they share."""
