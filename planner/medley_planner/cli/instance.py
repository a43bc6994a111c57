"""Reads a bare allocation instance: the user's own capacity table, size mix and rate, as a JSON object.

    gpu     {type: {cost: US dollars per hour, tputs[i][j]: max requests/s of one replica in bucket i, j; 0: cannot}}
    dist    [i][j] share of the rate by bucket
    rate    requests per second in all
    ins, outs   prompt and generation tokens by row and column (optional, or null: sizes not known)
    stock   {type: GPUs there are} (optional; a type not named is without limit)
    routing PerBucket (default), InferencePool (needs ins), HTTPRoute or Service

The table is taken as it is. `dist` may miss a sum of 1 by up to 1 % (tables are printed rounded) and is then scaled to
it, so that `rate` stays the total. One replica takes one GPU of its type.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medley_planner.model import (
    Bucket,
    Demand,
    Pool,
    Problem,
    Provenance,
    RoutingMode,
    Sees,
    Service,
    SizeSource,
    Variant,
)

SERVICE_NAME = "instance"
_SUM_TOLERANCE = 0.01
_KNOWN = ("gpu", "dist", "rate", "ins", "outs", "stock", "routing")


class InstanceError(ValueError):
    """The file is no usable instance. The message names the file, the field, the value and the way out."""


@dataclass(frozen=True, slots=True)
class Instance:
    """The problem, and how its flat buckets map back to the table: `columns` to a row, sizes None where not known."""

    problem: Problem
    columns: int
    prompt_tokens: tuple[float, ...] | None
    generation_tokens: tuple[float, ...] | None


def read_document(path: Path) -> Any:
    """What the JSON file holds. Raises `InstanceError` where it cannot be read or is no JSON."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InstanceError(f"{path}: cannot be read ({error.strerror}); give the path of a JSON file") from error
    except UnicodeDecodeError as error:
        raise InstanceError(f"{path}: is not UTF-8 text; give a JSON file") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InstanceError(f"{path}: is not JSON ({error}); give one JSON object") from error


def parse_instance(document: Any) -> Instance:
    """Raises `InstanceError`, naming the field and the value, where the document is no usable instance."""
    if not isinstance(document, dict):
        raise InstanceError(f"holds a {type(document).__name__}; give one JSON object with gpu, dist and rate")
    if "instances" in document and "gpu" not in document:
        raise InstanceError("instances holds several instances; give a file with one of them")
    for field in ("gpu", "dist", "rate"):
        if field not in document:
            raise InstanceError(f"{field} is missing; the fields are {', '.join(_KNOWN)} (of a fleet: services, pools)")
    dist = _matrix("dist", document["dist"])
    columns = len(dist[0])
    gpu = document["gpu"]
    if not isinstance(gpu, dict) or not gpu:
        raise InstanceError(f"gpu is {_shown(gpu)}; give an object with at least one GPU type")
    stock = _stock(document.get("stock"), gpu)
    sizes = (_sizes("ins", document.get("ins"), len(dist)), _sizes("outs", document.get("outs"), columns))
    routing = _routing(document.get("routing"))
    if routing.sees is Sees.PROMPT and sizes[0] is None:
        raise InstanceError(f'ins is missing, and routing is "{routing.value}"; give the prompt tokens that it goes by')
    service = Service(
        name=SERVICE_NAME,
        demand=Demand(
            rate_rps=_number("rate", document["rate"]),
            buckets=_buckets(sizes, rows=len(dist), columns=columns),
            shares=_shares(dist),
            size_source=SizeSource.STATIC,
        ),
        variants=tuple(_variant(name, entry, rows=len(dist), columns=columns) for name, entry in gpu.items()),
        routing=routing,
    )
    pools = tuple(Pool(name, stock.get(name)) for name in gpu)
    return Instance(Problem((service,), pools), columns, *sizes)


def _variant(name: str, entry: object, *, rows: int, columns: int) -> Variant:
    if not isinstance(entry, dict):
        raise InstanceError(f"gpu.{name} is {_shown(entry)}; give an object with cost and tputs")
    for field in ("cost", "tputs"):
        if field not in entry:
            raise InstanceError(f"gpu.{name}.{field} is missing; give cost and tputs")
    cost = _number(f"gpu.{name}.cost", entry["cost"])
    if cost <= 0:
        raise InstanceError(f"gpu.{name}.cost is {cost:g}; give a price above 0 US dollars per hour")
    table = _matrix(f"gpu.{name}.tputs", entry["tputs"])
    if len(table) != rows or len(table[0]) != columns:
        raise InstanceError(
            f"gpu.{name}.tputs has {len(table)} rows of {len(table[0])}; give {rows} rows of {columns}, like dist"
        )
    return Variant(
        name=name,
        pool=name,
        gpu=name,
        gpus_per_replica=1,
        cost_per_hour=cost,
        capacity_rps=tuple(value for row in table for value in row),
        provenance=Provenance.GIVEN,
    )


def _shares(dist: list[list[float]]) -> tuple[float, ...]:
    flat = [value for row in dist for value in row]
    total = math.fsum(flat)
    if abs(total - 1) > _SUM_TOLERANCE:
        raise InstanceError(f"dist sums to {total:g}; give shares that sum to 1 (1 % off is scaled)")
    return tuple(value / total for value in flat)


def _stock(stock: object, gpu: dict[str, Any]) -> dict[str, int]:
    if stock is None:
        return {}
    if not isinstance(stock, dict):
        raise InstanceError(f"stock is {_shown(stock)}; give an object of GPU type and count")
    for name, count in stock.items():
        if name not in gpu:
            raise InstanceError(f"stock.{name} is {_shown(count)}, but gpu has no such type; it has {', '.join(gpu)}")
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise InstanceError(f"stock.{name} is {_shown(count)}; give a whole number, 0 or more")
    return dict(stock)


def _routing(value: object) -> RoutingMode:
    if value is None:
        return RoutingMode.best()
    modes = [mode.value for mode in RoutingMode]
    if not isinstance(value, str) or value not in modes:
        raise InstanceError(f"routing is {_shown(value)}; give one of {', '.join(modes)}")
    return RoutingMode(value)


def _sizes(field: str, value: object, count: int) -> tuple[float, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != count:
        given = f"has {len(value)} entries" if isinstance(value, list) else f"is {_shown(value)}"
        raise InstanceError(f"{field} {given}; give a list of {count} token counts as in dist, or null")
    return tuple(_number(f"{field}[{index}]", entry) for index, entry in enumerate(value))


def _buckets(
    sizes: tuple[tuple[float, ...] | None, tuple[float, ...] | None], *, rows: int, columns: int
) -> tuple[Bucket, ...]:
    ins, outs = sizes
    return tuple(
        Bucket(ins[row] if ins else 0.0, outs[column] if outs else 0.0)
        for row in range(rows)
        for column in range(columns)
    )


def _matrix(field: str, value: object) -> list[list[float]]:
    if not isinstance(value, list) or not value or not all(isinstance(row, list) and row for row in value):
        raise InstanceError(f"{field} is {_shown(value)}; give a list of rows of numbers")
    for index, row in enumerate(value):
        if len(row) != len(value[0]):
            raise InstanceError(
                f"{field}[{index}] has {len(row)} entries, {field}[0] has {len(value[0])}; make them equal"
            )
    return [[_number(f"{field}[{i}][{j}]", entry) for j, entry in enumerate(row)] for i, row in enumerate(value)]


def _number(field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InstanceError(f"{field} is {_shown(value)}; give a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number < 0:
        raise InstanceError(f"{field} is {_shown(value)}; give a finite number, 0 or more")
    return number


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
