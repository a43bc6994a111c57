"""Power domains in plans: what each may still draw, how far it caps, and what that makes of pools. Pure."""
