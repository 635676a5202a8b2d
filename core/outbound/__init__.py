"""Outbound: HTTP to addresses that others name, guarded, with a deadline on each read. Knows no settings."""
