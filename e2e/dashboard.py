"""Reads the queries of a Grafana dashboard out of its ConfigMap, as Grafana would send them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_VARIABLES = {"$__rate_interval": "1m", "$namespace": ".*", "$service": ".*"}


def panel_queries(config_map: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(panel title, PromQL) of every target, variables filled in with "all"."""
    queries: list[tuple[str, str]] = []
    for text in config_map["data"].values():
        for panel in json.loads(text)["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"]
                for variable, value in _VARIABLES.items():
                    expression = expression.replace(variable, value)
                queries.append((panel["title"], expression))
    return queries
