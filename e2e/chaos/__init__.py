"""Faults between the operator and its cluster, and an oracle that says whether any of them did harm (docs/chaos.md)."""
