"""An explanation as plain values, and as JSON or YAML. Fields are named as in the explanation's own values."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from medley_planner.explain import Explanation
from medley_planner.fleet_plan import RoutingSaving

Savings = Mapping[str, RoutingSaving | None]


def explanation_report(explanation: Explanation, savings: Savings) -> dict[str, Any]:
    """Money in US dollars per hour, rates in requests per second. Figures that were not found are null.

    `savings` are the services' by the next better routing mode, put into each as `routing_saving`.
    """
    report = _plain(explanation)
    for service in report["services"]:
        service["unused"] = [one.pop("omitted") | one for one in service["unused"]]
        service["routing_saving"] = _plain(savings.get(service["service"]))
    return dict(report)


def write_report(report: dict[str, Any], *, output: str) -> None:
    """To standard output, as "json" or "yaml"."""
    if output == "json":
        print(json.dumps(report, indent=2))
    else:
        import yaml

        print(yaml.safe_dump(report, sort_keys=False), end="")


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(f"{value:.9g}")  # without the dust of binary sums
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value
