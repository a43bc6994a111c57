"""One service made ready to plan: what can be served, its rules, and the limits that services share."""
