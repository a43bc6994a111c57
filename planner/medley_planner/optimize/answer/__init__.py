"""From replica counts to the plan that leaves the planner: shares, reasons, and why a variant is not used."""
