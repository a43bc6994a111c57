"""The operator learns the hidden speed of replayed engines from their counters, by its own filter."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from medley_operator.domain.values.learned_key import LearnedKey
from medley_operator.replay.operator_loop import OperatorLoop
from medley_operator.replay.policies import POLICIES, Replay
from medley_operator.replay.settings import WorldSettings
from medley_operator.replay.world import World
from medley_planner.capacity import Speed
from medley_planner.capacity.calibrate import CalibrationState
from tests.unit.operator import factories as make
from tests.unit.operator.replay.worlds import LLAMA, scenario

L4S = [make.pool("l4", gpu="L4", nodes=10)]


def told(factor: float, load: str = "constant:6x40m") -> Mapping[LearnedKey, tuple[CalibrationState, Speed | None]]:
    settings = WorldSettings(step_factors={"L4": factor})
    world = World(scenario(load, "800x200", own_pools=L4S, settings=settings))
    loop = OperatorLoop(world, {})
    loop.begin()
    world.run()
    return {key: (known.calibration.standing, known.told) for key, known in loop.known_engines.items()}


@pytest.mark.parametrize("factor", [0.8, 1.3])
def test_engines_of_another_speed_are_calibrated(factor: float) -> None:
    # A layout that the fleet soon leaves has too few windows to be known.
    calibrated = [speed for state, speed in told(factor).values() if state is CalibrationState.CALIBRATED]
    assert calibrated
    for speed in calibrated:
        assert speed is not None
        assert speed.factors.fixed == pytest.approx(factor, rel=0.2)


def test_requests_beyond_the_longest_sequence_count_as_engines_serve_them() -> None:
    """Counters tell the tokens that were made, not those that were asked for: else steps look shorter than they are."""
    world = World(scenario("constant:1x2m", "3000x90000", own_pools=L4S))
    longest = world.services[LLAMA].spec.model.max_model_len
    assert set(world.traffic[LLAMA].trace.generation_tokens.tolist()) == {longest - 3000}


def test_what_is_learned_moves_the_fleet() -> None:
    """Faster engines than believed cost less once they are calibrated."""
    costs = []
    for calibrates in (True, False):
        settings = WorldSettings(step_factors={"L4": 0.7}, calibrates=calibrates)
        world = scenario("constant:14x1h", "800x200", own_pools=L4S, settings=settings)
        outcome = POLICIES["medley"](Replay(world, {}))
        assert outcome.attainment > 0.95
        costs.append(outcome.cost)
    assert costs[0] < 0.95 * costs[1]
