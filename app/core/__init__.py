"""Frozen values, events, error codes, ports, limits and paths. Standard library only."""
