"""Programs of other task queues, for `bench.starts`. They run in an environment of their own."""
