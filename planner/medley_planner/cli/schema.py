"""The JSON Schema of what `medley solve` reads: a fleet, or one bare instance. Pure."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, WithJsonSchema

from medley_planner.cli.fleet_document import FleetDocument, Price, Quantity
from medley_planner.model import RoutingMode

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_Rows = Annotated[
    list[list[float]],
    WithJsonSchema(
        {
            "type": "array",
            "minItems": 1,
            "items": {"type": "array", "minItems": 1, "items": {"type": "number", "minimum": 0}},
        }
    ),
]


class GpuDocument(BaseModel):
    """One GPU type: one replica takes one GPU."""

    cost: Price = Field(description="US dollars per hour of one replica.")
    tputs: _Rows = Field(
        description="Largest rate in requests per second of one replica, by [row][column] of dist; 0 where it cannot."
    )


class InstanceDocument(BaseModel):
    """One bare instance: your own capacity table, size mix and rate. Other fields are not read."""

    model_config = ConfigDict(json_schema_extra={"not": {"required": ["services"]}})

    gpu: dict[str, GpuDocument] = Field(min_length=1, description="The GPU types by name.")
    dist: _Rows = Field(description="Part of the rate by [row][column]; they sum to 1 (to 1 %).")
    rate: Quantity = Field(description="Requests per second in all.")
    ins: list[Quantity] | None = Field(
        None, description="Prompt tokens by row. Needed with routing InferencePool, which goes by them."
    )
    outs: list[Quantity] | None = Field(None, description="Generated tokens by column.")
    stock: dict[str, Annotated[int, Field(ge=0)]] | None = Field(
        None, description="GPUs there are, by type. A type that is not named is without limit."
    )
    routing: RoutingMode | None = Field(
        None,
        description=f"{RoutingMode.described()}. A variant is a GPU type here. Default: {RoutingMode.best().value}.",
    )


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. Money in US dollars per hour, rates in requests per second, sizes in tokens."""
    made = TypeAdapter(FleetDocument | InstanceDocument).json_schema()
    return {
        "$schema": DIALECT,
        "title": "medley solve",
        "description": "A fleet to plan (services, pools), or one bare instance (gpu, dist, rate).",
        **made,
    }
