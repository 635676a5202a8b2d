"""Jobs: the list, a job's page, and what may be done to them."""
