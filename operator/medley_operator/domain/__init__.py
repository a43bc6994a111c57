"""The operator's decisions: `prepare` makes a problem of a snapshot, `decide` makes writes of a plan."""
