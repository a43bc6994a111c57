"""The cost of safety: how far capacities exceed loads, learned from what requests attained."""
