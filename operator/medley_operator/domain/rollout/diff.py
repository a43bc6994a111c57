"""Does an object of ours need to be applied?

Server-side apply makes each apply a write, even of equal content where a default or a number format differs, so
equality is judged here: every field that we set must be equal in what the API server holds; fields that only the server
sets are passed over. Quantities are compared by value. Removing a key from a map that only we write (selectors) must be
seen too, so those maps are compared whole; a list is compared with its length. Pure.
"""

from __future__ import annotations

from typing import Any

from medley_operator.domain.values.quantities import quantity
from medley_operator.domain.values.snapshot import Manifest

_WHOLE_MAPS = frozenset({"nodeSelector", "matchLabels", "selector"})
_QUANTITY_MAPS = frozenset({"limits", "requests"})
_QUANTITY_FIELDS = frozenset({"sizeLimit"})


def first_difference(desired: Manifest, observed: Manifest) -> str | None:
    """Path of the first field that we set and that is not so in `observed`; None where nothing needs to be applied."""
    return _difference(desired, observed, path="", whole=False)


def _difference(desired: Any, observed: Any, *, path: str, whole: bool) -> str | None:
    if isinstance(desired, dict):
        if not desired and observed is None:
            return None
        if not isinstance(observed, dict):
            return path or "."
        return _map_difference(desired, observed, path=path, whole=whole)
    if isinstance(desired, list):
        if not desired and observed is None:
            return None
        if not isinstance(observed, list) or len(desired) != len(observed):
            return path
        for index, (mine, theirs) in enumerate(zip(desired, observed, strict=True)):
            found = _difference(mine, theirs, path=f"{path}[{index}]", whole=False)
            if found is not None:
                return found
        return None
    if _is_quantity(path):
        return None if _same_quantity(desired, observed) else path
    same = desired == observed and isinstance(desired, bool) == isinstance(observed, bool)
    return None if same else path


def _map_difference(desired: Manifest, observed: Manifest, *, path: str, whole: bool) -> str | None:
    if whole and set(observed) - set(desired):
        return path
    for name, mine in desired.items():
        child = f"{path}.{name}" if path else name
        # A Deployment's `selector` holds matchLabels, a Service's holds the labels themselves: whole either way.
        found = _difference(mine, observed.get(name), path=child, whole=name in _WHOLE_MAPS)
        if found is not None:
            return found
    return None


def _is_quantity(path: str) -> bool:
    parts = path.split(".")
    if parts[-1] in _QUANTITY_FIELDS:
        return True
    # Resource names hold dots ("nvidia.com/gpu"), so any ancestor may be the quantity map.
    return any(part in _QUANTITY_MAPS for part in parts[:-1])


def _same_quantity(desired: Any, observed: Any) -> bool:
    try:
        return observed is not None and quantity(desired) == quantity(observed)
    except ValueError:
        return bool(desired == observed)
