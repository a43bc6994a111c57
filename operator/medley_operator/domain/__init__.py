"""What the operator decides, `prepare` makes a problem of a snapshot, `decide` makes writes of a plan."""
