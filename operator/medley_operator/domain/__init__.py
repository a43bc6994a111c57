"""The operator's decisions: `prepare` makes a problem of a snapshot, `conclude` makes intents of a plan, and `act`
makes writes of these."""
