"""From audit events, logs and metrics to the figures of the scale suite, and the goals that they are held against."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from e2e.controlplane.audit import read_new
from e2e.scale.figures import (
    Solve,
    Target,
    busy_share,
    first_after,
    load_to_write,
    look_starts,
    metric_series,
    metric_sum,
    percentile,
    solves_of,
    writes_of,
)
from e2e.scale.goals import Figure, table
from e2e.scale.usage import Moment, Used, between, machine_busy, moment, started_at, stat_fields, used

OURS = "system:serviceaccount:medley:medley"
CHAT = Target("deployments", "team", "chat-l40s")


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).isoformat().replace("+00:00", "Z")


def event(at: float, *, verb: str = "patch", user: str = OURS, code: int = 200, **reference: str) -> dict[str, Any]:
    named = {"resource": "deployments", "namespace": "team", "name": "chat-l40s", **reference}
    return {
        "verb": verb,
        "user": {"username": user},
        "objectRef": named,
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": stamp(at),
        "stageTimestamp": stamp(at + 0.01),
    }


def test_writes_are_those_of_one_user_in_order_without_leases_and_events() -> None:
    events = [
        event(30.0, verb="create"),
        event(20.0, subresource="status"),
        event(10.0, verb="list"),
        event(11.0, user="admin"),
        event(12.0, resource="leases"),
        event(13.0, resource="events"),
    ]
    assert [(each.received, each.verb, each.subresource) for each in writes_of(events, OURS)] == [
        (20.0, "patch", "status"),
        (30.0, "create", ""),
    ]


def test_the_answer_is_the_first_good_write_of_the_object_itself_after_the_event() -> None:
    events = [event(1.0), event(3.0, code=409), event(4.0, subresource="status"), event(5.0, name="other"), event(6.0)]
    writes = writes_of(events, OURS)
    found = first_after(writes, CHAT, 2.0)
    assert found is not None
    assert found.received == 6.0
    assert first_after(writes, CHAT, 6.0) is None


def test_looks_are_the_queries_for_the_time() -> None:
    lines = [
        json.dumps({"params": {"query": text}, "time": stamp(at)})
        for at, text in ((50.0, "time()"), (20.0, "time()"), (21.0, "sum(up)"))
    ]
    assert look_starts("\n".join([*lines, '{"params": {"que'])) == [20.0, 50.0]


def test_a_solve_is_seen_where_the_count_grows() -> None:
    samples = [(1.0, 4.0, 10.0), (2.0, 4.0, 10.0), (3.0, 5.0, 12.5)]
    assert solves_of(samples) == [Solve(3.0, 2.5)]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(9.0, None), (14.0, 2.5), (31.0, 1.0), (10.5, 0.0)],
    ids=["before any look", "less the solve", "no solve in it", "never below nothing"],
)
def test_the_time_of_a_load_is_from_its_look_less_the_solve(written: float, seconds: float | None) -> None:
    looks, solves = [10.0, 30.0], [Solve(13.0, 1.5)]
    assert load_to_write(written, looks=looks, solves=solves) == seconds


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(each) for each in range(100, 0, -1)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([3.0], 0.99)) == (50.0, 99.0, 3.0)


def test_rounds_count_by_the_part_that_lies_within() -> None:
    log = [
        {"time": stamp(10.0), "message": "round ended", "seconds": 4.0},
        {"time": stamp(21.0), "message": "round ended", "seconds": 2.0},
        {"time": stamp(15.0), "message": "applied"},
    ]
    text = "\n".join(map(json.dumps, log))
    assert busy_share(text, since=8.0, until=20.0) == pytest.approx((2.0 + 1.0) / 12.0)


METRICS = """# HELP medley_x Something.
medley_x{service="a",variant="b c"} 2.0
medley_x{service="b"} 3.5
medley_x_total 9.0
medley_y 4.0
"""


def test_metrics_are_read_by_their_whole_name() -> None:
    assert metric_sum(METRICS, "medley_x") == 5.5
    assert metric_sum(METRICS, "medley_y") == 4.0
    assert metric_series(METRICS, "medley_x")[0] == ({"service": "a", "variant": "b c"}, 2.0)


def test_audit_events_are_read_on_from_where_the_last_look_ended(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text('{"n": 1}\n{"n": 2')
    events, offset = read_new(log, 0)
    assert events == [{"n": 1}]
    log.write_text('{"n": 1}\n{"n": 2}\n')
    assert read_new(log, offset) == ([{"n": 2}], len(log.read_text()))


def test_a_goal_is_missed_above_its_bound_and_by_what_is_no_number() -> None:
    verdicts = [Figure("x", value, 1.5).row()[3] for value in (1.5, 1.6, float("nan"))]
    assert verdicts == ["ok", "MISS", "MISS"]
    assert Figure("x", 9.0).row()[1:4] == ("", "9 s", "")
    assert "MISS" in table([Figure("slow", 2.0, 1.0), Figure("told", 3.0)]).splitlines()[1]


def proc(folder: Path) -> Path:
    """A /proc with an operator, its worker and a stranger."""
    (folder / "stat").write_text("cpu  100 10 40 900 50 5 5 0 7 0\ncpu0 1 2\n")
    (folder / "uptime").write_text("1000.00 1.0\n")
    for pid, parent, command, ticks in (
        (7, 1, "medley_operator", 300),
        (8, 7, "x.worker_process", 50),
        (9, 7, "sh", 1),
    ):
        (folder / str(pid)).mkdir()
        fields = ["S", str(parent), *["0"] * 9, str(ticks), "20", *["0"] * 6, "5000"]
        (folder / str(pid) / "stat").write_text(f"{pid} (a (b) c) {' '.join(fields)}\n")
        (folder / str(pid) / "status").write_text(f"Name:\tx\nVmHWM:\t{pid * 2048} kB\nVmRSS:\t{pid * 1024} kB\n")
        (folder / str(pid) / "cmdline").write_text(f"python\0-m\0{command}\0".replace("x.", "medley_operator.fleet."))
    return folder


def test_a_process_is_read_with_its_worker_and_no_other_child(tmp_path: Path) -> None:
    seen = moment(7, proc=proc(tmp_path))
    assert (seen.operator, seen.worker) == (Used(3.2, 14.0), Used(0.7, 16.0))
    assert machine_busy((tmp_path / "stat").read_text()) == pytest.approx(1.6)
    assert stat_fields("1 (a) b) R 2")[:2] == ["R", "2"]


def test_a_worker_that_is_gone_has_used_nothing(tmp_path: Path) -> None:
    folder = proc(tmp_path)
    (folder / "8" / "cmdline").write_text("")
    assert moment(7, proc=folder).worker == Used(0.0, 0.0)


def test_the_start_of_a_process_is_told_by_the_uptime(tmp_path: Path) -> None:
    now = datetime.now(tz=UTC).timestamp()
    assert started_at(7, proc=proc(tmp_path)) == pytest.approx(now - 950.0, abs=1.0)
    assert used(7, proc=tmp_path).peak_mib == 14.0


def test_cores_are_cpu_seconds_by_the_time_between() -> None:
    first = Moment(10.0, Used(5.0, 1), Used(9.0, 1), busy_seconds=100.0)
    last = Moment(20.0, Used(6.5, 1), Used(2.0, 1), busy_seconds=115.0)
    span = between(first, last)
    assert (span.operator_cores, span.machine_cores) == (0.15, 1.5)
    assert span.worker_cores == 0.2, "a new worker counts by what it used itself"
