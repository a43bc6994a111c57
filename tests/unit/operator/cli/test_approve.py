"""`medley approve`: the plan that waits is approved, any other is refused with the id of the one that does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import APPROVED_PLAN, APPROVED_UNTIL
from medley_operator.cli.approve import approve
from medley_operator.cli.main import main
from medley_operator.domain.values.snapshot import ObjectKey
from medley_planner.bad_input import BadInput
from tests.unit.operator.cli.waiting import NAME, Person, waiting_service

UNTIL = datetime(2026, 11, 24, 13, 0, tzinfo=UTC)


async def approved(client: Person, name: str = NAME, plan_id: str = "1a2b3c4d") -> str:
    return await approve(client, name, plan_id, namespace="demo", until=UNTIL)


def client_with(**status: Any) -> Person:
    client = Person()
    client.put(waiting_service(**status))
    return client


@pytest.mark.parametrize("name", ["llama", "demo/llama"])
async def test_the_waiting_plan_is_approved(name: str) -> None:
    client = client_with()
    said = await approved(client, name)
    assert said == "demo/llama: plan 1a2b3c4d is approved until 2026-11-24T13:00:00Z; cost $1.61/h → $9.30/h"
    annotations = client.objects[ObjectKey("LLMService", "demo", "llama")]["metadata"]["annotations"]
    assert annotations == {APPROVED_PLAN: "1a2b3c4d", APPROVED_UNTIL: "2026-11-24T13:00:00Z"}


async def test_a_superseded_plan_is_refused_with_the_id_of_the_present_one() -> None:
    client = client_with()
    with pytest.raises(BadInput, match=r"PLAN_ID is .*deadbeef.*plan 1a2b3c4d does"):
        await approved(client, plan_id="deadbeef")
    assert client.writes() == []


async def test_without_a_waiting_plan_nothing_is_approved() -> None:
    client = client_with(reason="Optimal")
    with pytest.raises(BadInput, match="no plan waits for approval"):
        await approved(client)
    assert client.writes() == []


async def test_a_service_that_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match="LLMService demo/lama"):
        await approved(client_with(), "lama")


def test_a_command_without_credentials_says_how_to_log_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["approve", "llama", "1a2b3c4d"]) == 2
    assert "set KUBECONFIG to the path of a kubeconfig file" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0s", "200h", "soon"])
def test_an_approval_lasts_a_second_to_a_week(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["approve", "llama", "1a2b3c4d", "--valid-for", text])
    assert caught.value.code == 2
    assert "is not a duration from 1s to 168h" in capsys.readouterr().err
