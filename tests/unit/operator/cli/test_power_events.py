"""`medley power shed|release` on a cluster in memory."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from medley_operator.cli.main import main
from medley_operator.cli.power_events import release, shed
from medley_operator.domain.values.snapshot import ObjectKey
from medley_planner.bad_input import BadInput
from medley_planner.exit_status import ExitStatus
from tests.unit.operator.cli.power_cluster import cluster
from tests.unit.operator.fleet.fake_kube import FakeKubeClient

START = datetime(2027, 1, 15, 16, tzinfo=UTC)


def shedding(client: FakeKubeClient, **change: Any) -> str:
    given: dict[str, Any] = {"watts": None, "fraction": "0.750", "start": START, "end": START + timedelta(hours=3)}
    return asyncio.run(shed(client, "row-1", **{**given, "source": "grid", **change}))


def test_shed_makes_an_event_with_an_end_and_release_deletes_it() -> None:
    client = cluster()
    assert "0.750 of its 10000 W" in shedding(client)
    key = ObjectKey("PowerEvent", "", "row-1-20270115-160000")
    assert client.objects[key]["spec"] == {
        "domain": "row-1",
        "targetFraction": "0.750",
        "start": "2027-01-15T16:00:00Z",
        "end": "2027-01-15T19:00:00Z",
        "source": "grid",
    }
    asyncio.run(release(client, key.name))
    assert key not in client.objects
    with pytest.raises(BadInput, match="kubectl get pev"):
        asyncio.run(release(client, key.name))


def test_shed_refuses_what_sheds_nothing_and_unknown_domains() -> None:
    with pytest.raises(BadInput, match="its budget is 10000 W"):
        shedding(cluster(), watts=12000, fraction=None)
    with pytest.raises(BadInput, match="kubectl get pdom"):
        asyncio.run(shed(FakeKubeClient(), "x", watts=1, fraction=None, start=START, end=START, source=""))


@pytest.mark.parametrize(
    "words",
    [
        ("shed", "row-1", "--for", "3h"),
        ("shed", "row-1", "--watts", "0", "--for", "3h"),
        ("shed", "row-1", "--fraction", "1.5", "--for", "3h"),
        ("shed", "row-1", "--fraction", "0.5"),
        ("shed", "row-1", "--fraction", "0.5", "--for", "200h"),
        ("shed", "row-1", "--fraction", "0.5", "--for", "3h", "--start", "tomorrow"),
    ],
)
def test_bad_options_are_refused(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["power", *words])
    assert ended.value.code == ExitStatus.BAD_INPUT
    assert "medley power shed: error" in capsys.readouterr().err
