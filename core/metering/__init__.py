"""Metering: the ledger of tokens, and everything that is computed from it."""
