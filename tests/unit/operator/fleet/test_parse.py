"""What the API server holds becomes values, whatever others wrote into it."""

from __future__ import annotations

from typing import Any

from medley_operator.fleet.parse import ready_nodes


def node(allocatable: dict[str, Any]) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}]
    return {"metadata": {"name": "a"}, "status": {"conditions": conditions, "allocatable": allocatable}}


def test_devices_of_a_node_are_quantities_as_the_api_server_stores_them() -> None:
    (found,) = ready_nodes(
        [node({"nvidia.com/gpu": "1k", "a.b/c": 8, "a.b/odd": "²", "a.b/endless": "9" * 5000, "cpu": "4"})]
    )
    assert dict(found.allocatable) == {"nvidia.com/gpu": 1000, "a.b/c": 8}
