"""Values that the other folders share, and the small functions on them."""
