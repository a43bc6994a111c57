"""What safety costs: how far capacities exceed loads, learned from what requests attained."""
