"""Pages that a browser shows: one look, one set of charts, nothing from elsewhere."""
