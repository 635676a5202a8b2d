"""The agent runtime: an agent's own process, started, watched, capped and stopped on a host."""
