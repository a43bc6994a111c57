"""Betters a plan that stands: local search, the fewest changes at equal cost, exchanges by priority."""
