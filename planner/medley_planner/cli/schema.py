"""The JSON Schema of what `medley solve` reads: a fleet, or one bare instance. Pure.

Apart: it loads the models of both forms, which `--schema` alone needs together.
"""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from medley_planner.cli.fleet_document import FleetDocument
from medley_planner.cli.instance import InstanceDocument

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. Money in US dollars per hour, rates in requests per second, sizes in tokens."""
    made = TypeAdapter(FleetDocument | InstanceDocument).json_schema()
    return {
        "$schema": DIALECT,
        "title": "medley solve",
        "description": "A fleet to plan (services, pools), or one bare instance (gpu, dist, rate).",
        **made,
    }
