"""Reads the queries of Grafana dashboards out of their ConfigMap, as Grafana would send them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_VARIABLES = {"$__rate_interval": "2m", "$cluster": ".*", "$namespace": ".*", "$service": ".*", "$domain": ".*"}


def dashboards(config_map: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in config_map["data"].values()]


def board_queries(board: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(title, PromQL with its variables) of every target of every panel, and of every annotation."""
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        yield annotation["name"], annotation["target"]["expr"]


def filled_in(expression: str) -> str:
    """With "all" for each variable."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression
