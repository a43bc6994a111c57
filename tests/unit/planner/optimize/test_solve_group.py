"""Services of a large group that are planned alone first: a busy machine does not decide what they serve."""

from __future__ import annotations

from typing import Any

import pytest

from medley_planner.optimize.program import solve
from medley_planner.optimize.program.linear_program import Program, Proof, SolveResult
from medley_planner.optimize.program.mip import solve_integer
from medley_planner.optimize.solve_group import FleetCase, solve_group
from medley_planner.optimize.task.limits import shared_room
from tests.adversary.draw import drawn

_SECONDS, _TAKEN = 10.0, 1.5


@pytest.mark.parametrize("seed", [102, 157, 217, 346])
def test_a_slow_program_of_one_service_is_waited_for(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Each has services with cuts to choose among."""
    problem = drawn(seed)
    room = shared_room(problem)
    case = FleetCase(problem, room, (0.0,) * len(room.limits), 1e-5)
    limits = []

    def slowly(program: Program, *, seconds: float, **others: Any) -> SolveResult:
        limits.append((seconds, others.get("node_limit")))
        return solve_integer(program, seconds=seconds, **others) if seconds > _TAKEN else SolveResult(Proof.NOTHING)

    def answer() -> list[tuple[int, ...]]:
        _, _, answers = solve_group(case, range(len(problem.services)), seconds_left=lambda: _SECONDS)
        return [each.replicas for each in answers.answers]

    quick = answer()
    monkeypatch.setattr(solve, "solve_integer", slowly)
    assert answer() == quick
    assert any(nodes is not None for _, nodes in limits)
    assert all(seconds > _TAKEN for seconds, _ in limits)
