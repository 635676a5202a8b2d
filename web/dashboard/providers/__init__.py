"""Queues and workers: what waits where, who carries it out, and jobs that lost too many workers."""
