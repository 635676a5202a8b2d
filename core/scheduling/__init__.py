"""Scheduling: who leads, which times of a tick have been, and what each tick did last."""
