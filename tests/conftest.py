"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# A shared machine may stop for a second at any time: how long one example took says nothing.
settings.register_profile("medley", deadline=None)
settings.load_profile("medley")
