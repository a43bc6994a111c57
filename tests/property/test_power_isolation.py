"""Whatever the meter of one rack says, rounds go on, the rack is told why, and another rack is capped as without it."""

from __future__ import annotations

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medley_operator.domain.power.controller import PowerController
from medley_operator.domain.power.limits import CapRules
from medley_operator.domain.power.view import MeterFault
from medley_planner.power import LevelReason, MeterAnswer
from tests.unit.operator.domain.power.play import NON_GPU_WATTS, Power

WATTS = st.one_of(
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 8.0, 1e308]),
    st.floats(0.0, 1e6),
    st.floats(allow_nan=True),
)
ANSWERS = st.one_of(
    st.builds(MeterFault, st.text(max_size=20)),
    st.lists(WATTS, max_size=4).map(tuple),
    st.none(),
)
STALE_ROUNDS = 11


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ANSWERS, min_size=1, max_size=25), st.lists(st.sampled_from([8000.0, 10500.0, 11500.0]), min_size=4))
def test_a_meter_disturbs_no_other_rack(odd: list[object], loads: list[float]) -> None:
    alone, both = Power(watts={"b": 8000.0}), Power(watts={"b": 8000.0, "a": 8000.0})
    for power in (alone, both):
        power.rack("a")
        power.rack("b")
        power.step(3)
    for round_number in range(25):
        answer = odd[round_number % len(odd)]
        both.watts.pop("a", None)
        if answer is not None:
            both.watts["a"] = answer  # type: ignore[assignment]
        alone.watts["b"] = both.watts["b"] = loads[round_number % len(loads)]
        alone.step()
        both.step()
        assert both.limits("b-0") == alone.limits("b-0")
        assert both.domains["b"].status == alone.domains["b"].status


@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.builds(MeterFault, st.text(max_size=20)),
        st.just(()),
        st.lists(st.floats(0.0, 1e5), min_size=2, max_size=4).map(tuple),
        st.sampled_from([(math.nan,), (math.inf,), (-5.0,), (80000.0,)]),
    )
)
def test_a_meter_that_stays_bad_is_told_and_its_rack_is_safe(answer: object) -> None:
    power = Power(watts={"a": 8000.0, "b": 8000.0})
    power.rack("a")
    power.rack("b")
    power.step(3)
    power.watts["a"] = answer  # type: ignore[assignment]
    power.step()
    told = next(each for each in power.domains["a"].status.conditions if each.type == "MeterReadable")
    assert told.status == "False"
    power.step(STALE_ROUNDS)
    assert (power.domains["a"].status.reason, power.domains["a"].status.safe) == ("Blind", True)
    assert all(watts is not None and 2 * (NON_GPU_WATTS + 8 * watts) <= 12000 for _, watts in power.limits("a-0"))
    assert power.limits("b-0") == {("1", None)}


def test_times_of_readings_that_make_no_sense_make_it_blind() -> None:
    for at in (math.nan, math.inf, -math.inf, 1e300):
        power = Power(watts={"a": 8000.0})
        power.rack("a")
        controller = PowerController(CapRules("one", 30))
        view = power._view()
        for second in range(15):
            decision = controller.round(view, {"a": MeterAnswer((8000.0,), at)}, now=power.now + second)
        assert decision.readings["a"].state.reason is LevelReason.BLIND
