"""Settings: keys, the workspace's limits, webhooks, and who did what."""
