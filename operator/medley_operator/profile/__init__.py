"""`medley profile`: from measurements of a live engine, or of other tools' reports, to a `ModelProfile` manifest."""
