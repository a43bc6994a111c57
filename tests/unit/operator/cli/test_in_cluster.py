"""LLMServices that commands read from a cluster: by name, or all of a namespace."""

from __future__ import annotations

import pytest

from medley_operator.cli.in_cluster import list_services, read_service
from medley_planner.bad_input import BadInput
from tests.unit.operator.cli.waiting import Person, waiting_service


async def test_all_services_of_the_namespace_are_listed_by_name() -> None:
    client = Person()
    for namespace, name in (("demo", "b"), ("demo", "a"), ("other", "c")):
        manifest = waiting_service()
        manifest["metadata"] |= {"namespace": namespace, "name": name}
        client.put(manifest)
    found = await list_services(client, namespace="demo")
    assert [service.metadata.name for service in found] == ["a", "b"]


async def test_an_object_that_does_not_parse_is_refused_with_the_way_out() -> None:
    client = Person()
    client.put({**waiting_service(), "spec": {}})
    with pytest.raises(BadInput, match=r"spec\.model"):
        await read_service(client, "llama", namespace="demo")
