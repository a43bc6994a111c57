"""Finds a GPU type by its name or by the product name that GPU feature discovery puts on a node.

Apart: `rows` is data alone, so that a new GPU type is a row and nothing else.
"""

from __future__ import annotations

from medley_planner.bad_input import BadInput
from medley_planner.catalog.gpu import Gpu
from medley_planner.catalog.rows import ROWS

_BY_NAME = {name.casefold(): row for row in ROWS for name in (row.name, *row.aliases)}


class UnknownGpu(BadInput):
    """No GPU type of that name is in the catalogue."""

    def __init__(self, name: str) -> None:
        super().__init__("", "GPU", name, f"it is not in the catalogue; known are {', '.join(known_gpus())}")


def known_gpus() -> tuple[str, ...]:
    """The catalogue's own names, in its order."""
    return tuple(row.name for row in ROWS)


def gpu(name: str) -> Gpu:
    """The GPU type called `name` (its name or an alias, in any case). Raises UnknownGpu."""
    try:
        return _BY_NAME[name.strip().casefold()]
    except KeyError:
        raise UnknownGpu(name) from None
