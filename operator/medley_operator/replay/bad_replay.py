"""Input that cannot be replayed.

Apart: policies and the command raise it, and neither imports the other for it.
"""

from __future__ import annotations

from medley_planner.bad_input import BadInput


class BadReplay(BadInput):
    """Objects, loads or settings that make no world; `where` is the object."""
