"""Does an object of ours need to be applied, and what did others do to it?

Server-side apply makes each apply a write, even of equal content where a default or a number format differs, so
equality is judged here. Equal means: every field that we set is so in what the API server holds, and nothing that we
set before and do not set now is left there (`managedFields` says what we set). What others add beside it, a variable or
a sidecar, is theirs: to take it away each round would be a write each round. Lists whose items have a key are compared
by it, as the API server merges them; quantities by value. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medley_operator.domain.values.labels import FIELD_MANAGER, key_of
from medley_operator.domain.values.quantities import quantity
from medley_operator.domain.values.recall import Recall
from medley_operator.domain.values.snapshot import Manifest

_LIST_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "containers": (("name",),),
    "initContainers": (("name",),),
    "env": (("name",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "volumes": (("name",),),
    "volumeMounts": (("mountPath",),),
    "imagePullSecrets": (("name",),),
    "ownerReferences": (("uid",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
}
"""Fields that name an item of a list, as the schema of Kubernetes has them; the first that all items have counts."""
_SETS = frozenset({"tolerations", "drop"})
"""Lists in which ours must be, in whatever order and beside whatever else."""
_WHOLE_MAPS = frozenset({"nodeSelector", "matchLabels", "selector"})
"""Maps that only we write: a key that others added is a difference."""
_QUANTITY_MAPS = frozenset({"limits", "requests"})
_QUANTITY_FIELDS = frozenset({"sizeLimit"})

Path = tuple[str, ...]
"""Steps as `managedFields` writes them: "f:spec" for a field, 'k:{"name":"main"}' for an item of a list."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is not as we set it. `manager`: who else the API server names as its owner; "" where nobody is."""

    path: str
    manager: str
    wanted: str
    """The value that we set, as JSON; "" where we set nothing any more."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A field or an item on the way down. Whole paths are made for differences alone, since most fields have none."""

    above: _Place | None
    name: str
    """The field, or the list that the item is in."""
    item: tuple[tuple[str, Any], ...] = ()
    """The key of an item; empty for a field."""
    is_quantity: bool = False

    @property
    def path(self) -> Path:
        above = self.above.path if self.above is not None else ()
        step = f"k:{json.dumps(dict(self.item), separators=(',', ':'))}" if self.item else f"f:{self.name}"
        return (*above, step)


_KNOWN: Recall[tuple[Difference, ...]] = Recall()


def known_differences(desired: Manifest, observed: Manifest) -> tuple[Difference, ...]:
    """As `differences`, of a child as it is in memory, which nobody changes."""
    return _KNOWN.get(key_of(observed), lambda: tuple(differences(desired, observed)), observed=observed, equal=desired)


def differences(desired: Manifest, observed: Manifest) -> Iterator[Difference]:
    """All of them, those that we want otherwise first."""
    unequal: list[tuple[_Place | None, Any]] = []
    _compare(desired, observed, None, unequal)
    for place, wanted in unequal:
        path = place.path if place is not None else ()
        yield Difference(shown(path), manager_of(observed, path), json.dumps(wanted, sort_keys=True))
    for path in _dropped(_owned_fields(observed), desired, path=()):
        yield Difference(shown(path), "", "")


def shown(path: Path) -> str:
    """For people: spec.template.spec.containers[main].image."""
    text = ""
    for step in path:
        kind, _, rest = step.partition(":")
        if kind == "f":
            text += f".{rest}"
        else:
            text += f"[{','.join(str(value) for value in json.loads(rest).values())}]"
    return text.lstrip(".")


def _compare(desired: Any, observed: Any, at: _Place | None, unequal: list[tuple[_Place | None, Any]]) -> None:
    """Appends each place that is otherwise, with what is wanted there."""
    if isinstance(desired, dict):
        _compare_maps(desired, observed, at, unequal)
    elif isinstance(desired, list):
        _compare_lists(desired, observed, at, unequal)
    elif not _same_scalar(desired, observed, is_quantity=at is not None and at.is_quantity):
        unequal.append((at, desired))


def _compare_maps(
    desired: Manifest, observed: Any, at: _Place | None, unequal: list[tuple[_Place | None, Any]]
) -> None:
    if not desired and observed is None:
        return
    # A Deployment's `selector` holds matchLabels, a Service's holds the labels themselves: whole either way.
    whole = at is not None and not at.item and at.name in _WHOLE_MAPS
    if not isinstance(observed, dict) or (whole and observed.keys() - desired.keys()):
        unequal.append((at, desired))
        return
    inside = at is not None and (at.is_quantity or at.name in _QUANTITY_MAPS)
    for name, mine in desired.items():
        below = _Place(at, name, is_quantity=inside or name in _QUANTITY_FIELDS)
        _compare(mine, observed.get(name), below, unequal)


def _compare_lists(
    desired: list[Any], observed: Any, at: _Place | None, unequal: list[tuple[_Place | None, Any]]
) -> None:
    if not desired and observed is None:
        return
    name = at.name if at is not None else ""
    keys = _keys_of(name, desired)
    if not isinstance(observed, list) or (keys is None and not _same_list(desired, observed, at, name=name)):
        unequal.append((at, desired))
    elif keys is not None:
        held = {_item_key(item, keys): item for item in observed if isinstance(item, dict)}
        for mine in desired:
            key = _item_key(mine, keys)
            _compare(mine, held.get(key), _Place(at, name, item=key), unequal)


def _same_list(desired: list[Any], observed: list[Any], at: _Place | None, *, name: str) -> bool:
    def same(mine: Any, theirs: Any) -> bool:
        found: list[tuple[_Place | None, Any]] = []
        _compare(mine, theirs, at, found)
        return not found

    if name in _SETS:
        return all(any(same(mine, theirs) for theirs in observed) for mine in desired)
    return len(desired) == len(observed) and all(map(same, desired, observed))


def _keys_of(name: str, items: list[Any]) -> tuple[str, ...] | None:
    """The fields that name the items; None where the list has none."""
    for keys in _LIST_KEYS.get(name, ()):
        if items and all(isinstance(item, dict) and item.keys() >= set(keys) for item in items):
            return keys
    return None


def _item_key(item: Manifest, keys: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    return tuple((key, item.get(key)) for key in keys)


def _same_scalar(desired: Any, observed: Any, *, is_quantity: bool) -> bool:
    if is_quantity:
        return _same_quantity(desired, observed)
    return bool(desired == observed) and isinstance(desired, bool) == isinstance(observed, bool)


def _same_quantity(desired: Any, observed: Any) -> bool:
    try:
        return observed is not None and (desired == observed or quantity(desired) == quantity(observed))
    except ValueError:
        return False


def _owned_fields(observed: Manifest) -> Manifest:
    """The fields that we set at the last apply, as `fieldsV1`."""
    for entry in observed.get("metadata", {}).get("managedFields") or []:
        if _is_ours(entry):
            return dict(entry.get("fieldsV1") or {})
    return {}


def _is_ours(entry: Manifest) -> bool:
    owner = (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "")
    return owner == (FIELD_MANAGER, "Apply", "")


def _dropped(fields: Manifest, desired: Any, *, path: Path) -> Iterator[Path]:
    """Fields that we set before and that are not in what we want now."""
    for step, below in fields.items():
        kind, _, rest = step.partition(":")
        if kind == "f" and isinstance(desired, dict):
            if rest not in desired:
                yield (*path, step)
            else:
                yield from _dropped(below, desired[rest], path=(*path, step))
        elif kind == "k" and isinstance(desired, list):
            item = _find(desired, json.loads(rest))
            if item is None:
                yield (*path, step)
            else:
                yield from _dropped(below, item, path=(*path, step))


def _find(items: list[Any], key: Mapping[str, Any]) -> Any:
    for item in items:
        if isinstance(item, dict) and all(item.get(name, value) == value for name, value in key.items()):
            return item
    return None


def manager_of(observed: Manifest, path: Path) -> str:
    """The field manager, other than ours, that the API server names for the field or for what it is in."""
    for entry in observed.get("metadata", {}).get("managedFields") or []:
        if not _is_ours(entry) and _holds(entry.get("fieldsV1") or {}, path):
            return str(entry.get("manager", ""))
    return ""


def is_set_by_others(observed: Manifest, path: Path) -> bool:
    """Whether others set the field, and we do not any more."""
    return bool(manager_of(observed, path)) and not _holds(_owned_fields(observed), path)


def _holds(fields: Manifest, path: Path) -> bool:
    at: Any = fields
    for step in path:
        if step not in at:
            return False
        at = at[step]
        if not at:
            return True
    return True
