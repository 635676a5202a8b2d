"""Agents: the list, and an agent's pages: chat, settings, process, log, usage, how to call it."""
