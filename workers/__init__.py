"""Workers: processes that take job ids from the queue and carry the jobs out."""
