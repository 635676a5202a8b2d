"""The page of the scheduler."""
