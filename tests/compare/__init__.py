"""What `tests/compare_checkouts.py` runs in each of two checkouts, and how it compares what they say.

The modules import each other relatively: in a checkout other than this one they are imported as `compare`, while
`tests` is that checkout's own.
"""
