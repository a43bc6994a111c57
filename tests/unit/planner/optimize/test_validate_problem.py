"""A malformed problem is refused by one exception that names the object, the field and the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from medley_planner.model import Bucket, Demand, Pool, Problem, Provenance, RoutingMode, Service, SizeSource, Variant
from medley_planner.optimize import InvalidProblem, plan

_VARIANT = Variant("v", "p", "g", 1, 1.0, (1.0, 2.0), Provenance.GIVEN)
_DEMAND = Demand(1.0, (Bucket(1, 1), Bucket(2, 2)), (0.5, 0.5), SizeSource.STATIC)
_SERVICE = Service("s", _DEMAND, (_VARIANT,), RoutingMode.HTTP_ROUTE)
_GOOD = Problem((_SERVICE,), (Pool("p", 4),))
_NAN = float("nan")


def _service(change: Callable[[Service], Service]) -> Problem:
    return replace(_GOOD, services=(change(_SERVICE),))


def _demand(change: Callable[[Demand], Demand]) -> Problem:
    return _service(lambda service: replace(service, demand=change(_DEMAND)))


def _variant(change: Callable[[Variant], Variant]) -> Problem:
    return _service(lambda service: replace(service, variants=(change(_VARIANT),)))


_BAD: list[tuple[Problem, str, str]] = [
    (_demand(lambda d: replace(d, rate_rps=_NAN)), "service s", "demand.rate_rps"),
    (_demand(lambda d: replace(d, rate_rps=-1.0)), "service s", "demand.rate_rps"),
    (_demand(lambda d: replace(d, rate_rps=float("inf"))), "service s", "demand.rate_rps"),
    (_demand(lambda d: replace(d, shares=(1.0,))), "service s", "demand.shares"),
    (_demand(lambda d: replace(d, shares=(0.5, _NAN))), "service s", "demand.shares[1]"),
    (_demand(lambda d: replace(d, shares=(0.5, 0.4))), "service s", "sum of demand.shares"),
    (_demand(lambda d: replace(d, shares=(1.5, -0.5))), "service s", "demand.shares[1]"),
    (
        _demand(lambda d: replace(d, buckets=(Bucket(_NAN, 1), Bucket(1, 1)))),
        "service s",
        "demand.buckets[0].prompt_tokens",
    ),
    (_service(lambda s: replace(s, utilisation_limit=0.0)), "service s", "utilisation_limit"),
    (_service(lambda s: replace(s, utilisation_limit=1.1)), "service s", "utilisation_limit"),
    (_service(lambda s: replace(s, min_replicas=-1)), "service s", "min_replicas"),
    (_service(lambda s: replace(s, variants=(_VARIANT, _VARIANT))), "service s", "variants"),
    (_variant(lambda v: replace(v, pool="q")), "service s, variant v", "pool"),
    (_variant(lambda v: replace(v, cost_per_hour=0.0)), "service s, variant v", "cost_per_hour"),
    (_variant(lambda v: replace(v, cost_per_hour=_NAN)), "service s, variant v", "cost_per_hour"),
    (_variant(lambda v: replace(v, gpus_per_replica=0)), "service s, variant v", "gpus_per_replica"),
    (_variant(lambda v: replace(v, capacity_rps=(1.0,))), "service s, variant v", "capacity_rps"),
    (_variant(lambda v: replace(v, capacity_rps=(1.0, -1.0))), "service s, variant v", "capacity_rps[1]"),
    (_variant(lambda v: replace(v, max_replicas=-1)), "service s, variant v", "max_replicas"),
    (replace(_GOOD, pools=(Pool("p", -1),)), "pool p", "stock_gpus"),
    (replace(_GOOD, pools=(Pool("p"), Pool("p"))), "problem", "pools"),
    (replace(_GOOD, services=(_SERVICE, _SERVICE)), "problem", "services"),
]


@pytest.mark.parametrize(
    ("problem", "owner", "field"), _BAD, ids=[f"{n}-{field}" for n, (_, _, field) in enumerate(_BAD)]
)
def test_names_object_field_and_way_out(problem: Problem, owner: str, field: str) -> None:
    with pytest.raises(InvalidProblem) as caught:
        plan(problem)
    assert (caught.value.object, caught.value.field) == (owner, field)
    assert caught.value.message
    assert owner in str(caught.value)
    assert repr(caught.value.value) in str(caught.value)


def test_a_good_problem_is_planned() -> None:
    assert plan(_GOOD).cost_per_hour == 1.0
