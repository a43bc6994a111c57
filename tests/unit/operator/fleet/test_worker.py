"""The planning worker with a real process: good plans pass, bad ends become outcomes, nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from medley_operator.fleet.worker import PlanWorker
from medley_planner.fleet_plan import PlanFailure, PlanOrFailure
from medley_planner.model import Plan, Pool, Problem

ROOT = Path(__file__).parents[4]
EMPTY = Problem(services=(), pools=())
ONE_POOL = Problem(services=(), pools=(Pool("l4", 1),))

Make = Callable[[str], PlanWorker]


@pytest_asyncio.fixture
async def make(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    workers: list[PlanWorker] = []

    def build(name: str) -> PlanWorker:
        workers.append(PlanWorker(target=f"tests.unit.operator.fleet.planners:{name}", memory_bytes=1024**3))
        return workers[-1]

    yield build
    for worker in workers:
        await worker.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def failure(outcome: PlanOrFailure) -> PlanFailure:
    assert isinstance(outcome, PlanFailure)
    return outcome


def plan(outcome: PlanOrFailure) -> Plan:
    assert isinstance(outcome, Plan)
    return outcome


async def test_problems_go_in_and_plans_come_out_of_one_process(make: Make) -> None:
    worker = make("good")
    first = plan(await worker.solve(ONE_POOL, deadline_seconds=3.0))
    second = plan(await worker.solve(EMPTY, deadline_seconds=4.0))
    assert (first.cost_per_hour, first.lower_bound_per_hour) == (1.0, 3.0)
    assert (second.cost_per_hour, second.lower_bound_per_hour) == (0.0, 4.0)
    assert first.solve_seconds == second.solve_seconds == worker.pid


async def test_a_solver_that_prints_does_not_garble_its_answer(make: Make) -> None:
    assert plan(await make("prints").solve(ONE_POOL, deadline_seconds=3.0)).cost_per_hour == 1.0


async def test_a_late_solver_is_killed_and_replaced(make: Make) -> None:
    worker = make("sleeps_on_pools")
    plan(await worker.solve(EMPTY, deadline_seconds=1.0))
    pid = worker.pid
    assert pid is not None
    started = time.monotonic()
    late = failure(await worker.solve(ONE_POOL, deadline_seconds=0.2))
    assert time.monotonic() - started < 5.0
    assert late.reason == "SolverTimeout"
    assert "0.4 s" in late.message
    assert "--solve-deadline-seconds" in late.message
    assert not alive(pid)
    assert plan(await worker.solve(EMPTY, deadline_seconds=1.0)).solve_seconds != pid


async def test_a_crash_is_an_outcome_and_the_next_solve_has_a_new_process(make: Make) -> None:
    worker = make("exits")
    for _ in range(2):
        crashed = failure(await worker.solve(EMPTY, deadline_seconds=5.0))
        assert crashed.reason == "SolverCrashed"
        assert "exit status 7" in crashed.message


async def test_an_exception_is_an_outcome_and_the_process_goes_on(make: Make) -> None:
    worker = make("raises")
    first = failure(await worker.solve(EMPTY, deadline_seconds=5.0))
    pid = worker.pid
    assert (first.reason, "ValueError: a planner's mistake" in first.message) == ("SolverCrashed", True)
    failure(await worker.solve(EMPTY, deadline_seconds=5.0))
    assert worker.pid == pid


async def test_memory_is_capped(make: Make) -> None:
    outcome = failure(await make("eats").solve(EMPTY, deadline_seconds=5.0))
    assert outcome.reason == "SolverCrashed"
    assert "MemoryError" in outcome.message


async def test_a_cancelled_solve_leaves_no_process_and_no_stale_answer(make: Make) -> None:
    worker = make("sleeps_on_pools")
    plan(await worker.solve(EMPTY, deadline_seconds=1.0))
    pid = worker.pid
    assert pid is not None
    task = asyncio.create_task(worker.solve(ONE_POOL, deadline_seconds=30.0))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(pid)


async def test_the_worker_ends_with_a_parent_that_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    code = (
        "import asyncio\n"
        "from medley_operator.fleet.worker import PlanWorker\n"
        "from medley_planner.model import Problem\n"
        "async def main():\n"
        "    worker = PlanWorker(memory_bytes=2**30, target='tests.unit.operator.fleet.planners:sleeps')\n"
        "    await worker.start()\n"
        "    asyncio.create_task(worker.solve(Problem((), ()), deadline_seconds=60))\n"
        "    while not worker._ready:\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(worker.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    for _ in range(100):
        if not alive(pid):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"process {pid} outlives its parent")
