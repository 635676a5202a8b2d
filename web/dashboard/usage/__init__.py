"""Usage: what was used and what it cost, allowances, statements, and whether all is accounted for."""
