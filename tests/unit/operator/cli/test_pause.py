"""`medley pause` and `resume`: the mode from before comes back, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import pytest

from medley_operator.api.v1alpha1 import MODE_BEFORE_PAUSE
from medley_operator.cli.pause import pause, resume
from medley_operator.domain.values.snapshot import ObjectKey
from medley_planner.bad_input import BadInput
from tests.unit.operator.cli.waiting import NAME, Person, waiting_service

KEY = ObjectKey("LLMService", "demo", NAME)


def client_with(mode: str = "Approve", **annotations: str) -> Person:
    client = Person()
    manifest = waiting_service()
    manifest["spec"]["scaling"]["mode"] = mode
    manifest["metadata"]["annotations"] = annotations
    client.put(manifest)
    return client


def written(client: Person) -> dict[str, Any]:
    return client.objects[KEY]


@pytest.mark.parametrize("name", ["llama", "demo/llama"])
async def test_a_paused_service_keeps_its_mode_in_an_annotation(name: str) -> None:
    client = client_with()
    assert await pause(client, name, namespace="demo") == "demo/llama is paused; its mode was Approve"
    assert written(client)["spec"]["scaling"]["mode"] == "Paused"
    assert written(client)["metadata"]["annotations"][MODE_BEFORE_PAUSE] == "Approve"


async def test_resume_sets_the_mode_from_before() -> None:
    client = client_with("Paused", **{MODE_BEFORE_PAUSE: "Approve"})
    assert await resume(client, NAME, namespace="demo") == "demo/llama goes on in mode Approve"
    assert written(client)["spec"]["scaling"]["mode"] == "Approve"


async def test_resume_takes_another_mode() -> None:
    client = client_with("Paused")
    assert await resume(client, NAME, namespace="demo", mode="Advisory") == "demo/llama goes on in mode Advisory"
    assert written(client)["spec"]["scaling"]["mode"] == "Advisory"


@pytest.mark.parametrize("before", ["", "Paused", "Nonsense"])
async def test_a_pause_of_others_needs_the_mode(before: str) -> None:
    client = client_with("Paused", **({MODE_BEFORE_PAUSE: before} if before else {}))
    with pytest.raises(BadInput, match="give the mode with --mode"):
        await resume(client, NAME, namespace="demo")
    assert client.writes() == []


async def test_what_is_so_already_is_left_alone() -> None:
    paused, running = client_with("Paused"), client_with("Auto")
    assert await pause(paused, NAME, namespace="demo") == "demo/llama is paused already"
    assert await resume(running, NAME, namespace="demo") == "demo/llama is not paused; its mode is Auto"
    assert paused.writes() == running.writes() == []


async def test_a_service_that_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match="LLMService demo/lama"):
        await pause(client_with(), "lama", namespace="demo")
