"""Reads a bare allocation instance: the user's own capacity table, size mix and rate, as a JSON object.

The table is taken as it is. `dist` may miss a sum of 1 by up to 1 % (tables are printed rounded) and is then scaled to
it, so that `rate` stays the total. One replica takes one GPU of its type. What one field may hold is the models' to
check, here only what several say together is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medley_planner.bad_input import MISSING
from medley_planner.cli.document import BadDocument, Name
from medley_planner.documents import BadText, json_value
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
from medley_planner.schema_faults import faults_of

SERVICE_NAME = "instance"
_SUM_TOLERANCE = 0.01

_Figure = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Rows = Annotated[list[Annotated[list[_Figure], Field(min_length=1)]], Field(min_length=1)]


class _Document(BaseModel):
    """Strict: no text is taken for a number, no unknown field passes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class GpuDocument(_Document):
    """One GPU type: one replica takes one GPU."""

    cost: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(description="US dollars per hour of one replica.")
    tputs: _Rows = Field(
        description="Largest rate in requests per second of one replica, by [row][column] of dist; 0 where it cannot."
    )


class InstanceDocument(_Document):
    """One bare instance: your own capacity table, size mix and rate."""

    gpu: dict[Name, GpuDocument] = Field(min_length=1, description="The GPU types by name.")
    dist: _Rows = Field(description="Share of the rate by [row][column]; they sum to 1 (to 1 %).")
    rate: _Figure = Field(description="Total requests per second.")
    ins: list[_Figure] | None = Field(None, description="Prompt tokens by row; routing InferencePool needs them.")
    outs: list[_Figure] | None = Field(None, description="Generated tokens by column.")
    stock: dict[Name, Annotated[int, Field(ge=0)]] | None = Field(
        None, description="GPUs in stock, by type. A type that is not named has no limit."
    )
    routing: Annotated[RoutingMode, Field(strict=False)] | None = Field(
        None,
        description=f"{RoutingMode.described()}. A variant is a GPU type here. Default: {RoutingMode.best().value}.",
    )


@dataclass(frozen=True, slots=True)
class Instance:
    """The problem, and how its flat buckets map back to the table: `columns` to a row, sizes None where not known."""

    problem: Problem
    columns: int
    prompt_tokens: tuple[float, ...] | None
    generation_tokens: tuple[float, ...] | None


def read_document(path: Path) -> Any:
    """The content of the JSON file. Raises `BadDocument` where it cannot be read, is not JSON, or is of both forms."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        way_out = f"cannot be read ({error.strerror}); give the path of a JSON file"
        raise BadDocument.whole(str(path), way_out) from error
    except UnicodeDecodeError as error:
        raise BadDocument.whole(str(path), "is not UTF-8 text; give a JSON file") from error
    try:
        document = json_value(text)
    except BadText as error:
        raise BadDocument.whole(str(path), error.or_else("give one JSON object")) from error
    fleet = [name for name in ("services", "pools") if isinstance(document, dict) and name in document]
    if fleet and "gpu" in document:
        way_out = f"holds {fleet[0]} of a fleet and gpu of a bare instance; give one file for each"
        raise BadDocument.whole(str(path), way_out)
    return document


def parse_instance(document: Any) -> Instance:
    """Raises `BadDocument` where the document is not a usable instance."""
    if not isinstance(document, dict):
        kind = type(document).__name__
        raise BadDocument.whole("", f"holds a {kind}; give one JSON object with gpu, dist and rate, or a fleet")
    if "instances" in document and "gpu" not in document:
        raise BadDocument.whole("", "instances holds several instances; give a file with one of them")
    try:
        read = InstanceDocument.model_validate(document)
    except ValidationError as error:
        fault = faults_of(error)[0]
        raise BadDocument("", fault.field, fault.value, fault.way_out) from error
    _check_shapes(read)
    _check_together(read)
    service = Service(
        name=SERVICE_NAME,
        demand=Demand(
            rate_rps=read.rate, buckets=_buckets(read), shares=_shares(read.dist), size_source=SizeSource.STATIC
        ),
        variants=tuple(_variant(name, entry) for name, entry in read.gpu.items()),
        routing=read.routing or RoutingMode.best(),
    )
    pools = tuple(Pool(name, (read.stock or {}).get(name)) for name in read.gpu)
    return Instance(
        problem=Problem((service,), pools),
        columns=len(read.dist[0]),
        prompt_tokens=None if read.ins is None else tuple(read.ins),
        generation_tokens=None if read.outs is None else tuple(read.outs),
    )


def _check_shapes(read: InstanceDocument) -> None:
    """Every table is of the rows and columns of `dist`, whose rows are equally long."""
    rows, columns = len(read.dist), len(read.dist[0])
    _check_table("dist", read.dist, rows, columns)
    for name, entry in read.gpu.items():
        _check_table(f"gpu.{name}.tputs", entry.tputs, rows, columns)
    for field, sizes, count in (("ins", read.ins, rows), ("outs", read.outs, columns)):
        if sizes is not None and len(sizes) != count:
            raise BadDocument("", field, sizes, f"it has {len(sizes)} entries; give {count}, as dist has, or null")


def _check_table(field: str, table: Sequence[Sequence[float]], rows: int, columns: int) -> None:
    if len(table) != rows:
        raise BadDocument("", field, table, f"it has {len(table)} rows; give {rows} rows of {columns}, like dist")
    for index, row in enumerate(table):
        if len(row) != columns:
            raise BadDocument("", f"{field}[{index}]", row, f"it has {len(row)} entries; give {columns} in each row")


def _check_together(read: InstanceDocument) -> None:
    unknown = next((name for name in read.stock or {} if name not in read.gpu), None)
    if read.stock is not None and unknown is not None:
        way_out = f"gpu has no such type; it has {', '.join(read.gpu)}"
        raise BadDocument("", f"stock.{unknown}", read.stock[unknown], way_out)
    if read.routing is not None and read.routing.sees is Sees.PROMPT and read.ins is None:
        way_out = f'routing is "{read.routing.value}"; give the prompt tokens that it routes by'
        raise BadDocument("", "ins", MISSING, way_out)


def _variant(name: str, entry: GpuDocument) -> Variant:
    return Variant(
        name=name,
        pool=name,
        gpu=name,
        gpus_per_replica=1,
        cost_per_hour=entry.cost,
        capacity_rps=tuple(value for row in entry.tputs for value in row),
        provenance=Provenance.GIVEN,
    )


def _shares(dist: Sequence[Sequence[float]]) -> tuple[float, ...]:
    flat = [value for row in dist for value in row]
    total = math.fsum(flat)
    if abs(total - 1) > _SUM_TOLERANCE:
        raise BadDocument("", "sum of dist", float(f"{total:.6g}"), "give shares that sum to 1 (1 % off is scaled)")
    return tuple(value / total for value in flat)


def _buckets(read: InstanceDocument) -> tuple[Bucket, ...]:
    rows, columns = range(len(read.dist)), range(len(read.dist[0]))
    return tuple(
        Bucket(read.ins[row] if read.ins else 0.0, read.outs[column] if read.outs else 0.0)
        for row in rows
        for column in columns
    )
