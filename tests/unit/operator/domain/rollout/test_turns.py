"""A surplus that does not go: how long others wait for the room that it would make."""

from __future__ import annotations

from dataclasses import replace

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.rollout.step_memory import ServiceSteps, Surplus
from medley_operator.domain.rollout.turns import GOES_SECONDS
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import Snapshot
from medley_operator.kube.errors import Invalid
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import ROUND_SECONDS, Round, changed, run, settle

KEY = ServiceKey(make.NAMESPACE, "llama")
REFUSED = {"Deployment": Invalid("cannot apply Deployment demo/llama: the API server answered 400: a webhook")}


def with_load(rate: str, generation: int = 1) -> LLMService:
    static = {**make.STATIC, "requestsPerSecond": rate}
    variants = [{"poolRef": "l4", "tensorParallel": 1}]
    spec = {"variants": variants, "workload": {"source": "Static", "static": static}}
    return make.service(spec=spec, generation=generation)


def turn_view(seen: Round) -> Snapshot:
    return replace(seen.snapshot, at_seconds=seen.at_seconds)


def less_load(earlier: Round, at_seconds: float) -> Round:
    """A round that would shrink the variant, and whose write of its Deployment is refused."""
    snapshot = changed(earlier.snapshot, with_load("4", 2))
    return run(snapshot, earlier.memory, steps=earlier.steps, at_seconds=at_seconds, refused=REFUSED)


def test_a_shrink_that_others_refuse_is_waited_for_no_longer_than_a_minute() -> None:
    """Its route was well, and so its surplus counted as one that goes, for ever: others waited for its GPUs."""
    current = settle(make.snapshot(with_load("12")))
    began = current.at_seconds + ROUND_SECONDS
    goes: list[bool] = []
    for number in range(4):
        current = less_load(current, began + number * ROUND_SECONDS)
        steps, turn = current.steps.services[KEY], current.steps.parts[KEY].turn
        assert steps.surplus == {"l4": Surplus(turn.scales["l4"].current, began)}
        goes.append(turn.goes("l4", steps, turn_view(current)))
    assert goes == [number * ROUND_SECONDS < GOES_SECONDS for number in range(4)] == [True, True, False, False]


def test_a_surplus_that_shrinks_step_by_step_is_one_that_goes() -> None:
    current = settle(make.snapshot(with_load("12")))
    shrinks = less_load(current, current.at_seconds + ROUND_SECONDS)
    turn = shrinks.steps.parts[KEY].turn
    before = ServiceSteps(surplus={"l4": Surplus(turn.scales["l4"].current + 1, -1000.0)})
    assert turn.goes("l4", before, turn_view(shrinks))
