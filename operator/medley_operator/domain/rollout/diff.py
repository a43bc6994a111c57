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

from medley_operator.domain.values.labels import FIELD_MANAGER
from medley_operator.domain.values.quantities import quantity
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


def differences(desired: Manifest, observed: Manifest) -> Iterator[Difference]:
    """All of them, those that we want otherwise first."""
    for path, wanted in _unequal(desired, observed, path=(), whole=False):
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


def _unequal(desired: Any, observed: Any, *, path: Path, whole: bool) -> Iterator[tuple[Path, Any]]:
    if observed is None and desired in ({}, []):
        return
    if isinstance(desired, dict):
        if not isinstance(observed, dict) or (whole and set(observed) - set(desired)):
            yield path, desired
            return
        for name, mine in desired.items():
            # A Deployment's `selector` holds matchLabels, a Service's holds the labels themselves: whole either way.
            yield from _unequal(mine, observed.get(name), path=(*path, f"f:{name}"), whole=name in _WHOLE_MAPS)
    elif isinstance(desired, list):
        if not isinstance(observed, list):
            yield path, desired
        elif (keys := _keys_of(path, desired)) is not None:
            yield from _unequal_items(desired, observed, keys, path=path)
        elif not _same_list(desired, observed, path=path):
            yield path, desired
    elif not _same_scalar(desired, observed, path=path):
        yield path, desired


def _unequal_items(
    desired: list[Any], observed: list[Any], keys: tuple[str, ...], *, path: Path
) -> Iterator[tuple[Path, Any]]:
    held = {_item_step(item, keys): item for item in observed if isinstance(item, dict)}
    for mine in desired:
        step = _item_step(mine, keys)
        yield from _unequal(mine, held.get(step), path=(*path, step), whole=False)


def _same_list(desired: list[Any], observed: list[Any], *, path: Path) -> bool:
    def same(mine: Any, theirs: Any) -> bool:
        return next(_unequal(mine, theirs, path=path, whole=False), None) is None

    if _name(path) in _SETS:
        return all(any(same(mine, theirs) for theirs in observed) for mine in desired)
    return len(desired) == len(observed) and all(map(same, desired, observed))


def _keys_of(path: Path, items: list[Any]) -> tuple[str, ...] | None:
    """The fields that name the items; None where the list has none."""
    for keys in _LIST_KEYS.get(_name(path), ()):
        if items and all(isinstance(item, dict) and set(keys) <= set(item) for item in items):
            return keys
    return None


def _item_step(item: Manifest, keys: tuple[str, ...]) -> str:
    named = {key: item.get(key) for key in sorted(keys)}
    return f"k:{json.dumps(named, separators=(',', ':'))}"


def _name(path: Path) -> str:
    return path[-1].removeprefix("f:") if path else ""


def _same_scalar(desired: Any, observed: Any, *, path: Path) -> bool:
    if _is_quantity(path):
        return _same_quantity(desired, observed)
    return bool(desired == observed) and isinstance(desired, bool) == isinstance(observed, bool)


def _is_quantity(path: Path) -> bool:
    parts = [step.removeprefix("f:") for step in path]
    return bool(parts) and (parts[-1] in _QUANTITY_FIELDS or any(part in _QUANTITY_MAPS for part in parts[:-1]))


def _same_quantity(desired: Any, observed: Any) -> bool:
    try:
        return observed is not None and quantity(desired) == quantity(observed)
    except ValueError:
        return bool(desired == observed)


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


def _holds(fields: Manifest, path: Path) -> bool:
    at: Any = fields
    for step in path:
        if step not in at:
            return False
        at = at[step]
        if not at:
            return True
    return True
