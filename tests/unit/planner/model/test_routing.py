"""What follows from a routing mode, and that only the mode itself and the verifier tell modes apart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medley_planner.model import Bucket, RoutingMode, Sees

PLANNER = Path(__file__).parents[4] / "planner" / "medley_planner"
NAMES_MODES = {"model/routing.py", "optimize/verify/work.py"}
EXAMPLE = "__init__.py"
"""The front door's docstring shows how a user names a mode."""
BUCKETS = (Bucket(2000, 10), Bucket(100, 10), Bucket(2000, 300), Bucket(100, 300))


def test_only_the_mode_itself_and_the_verifier_name_a_mode() -> None:
    member = re.compile(rf"\bRoutingMode\.({'|'.join(RoutingMode.__members__)})\b")
    files = ((file, file.read_text(encoding="utf-8")) for file in PLANNER.rglob("*.py"))
    found = {str(file.relative_to(PLANNER)) for file, text in files if member.search(text)}
    assert found - {EXAMPLE} == NAMES_MODES


def test_modes_rise_from_equal_pods_to_the_oracle() -> None:
    chain = [RoutingMode.SERVICE]
    while chain[-1].next_better is not None:
        chain.append(chain[-1].next_better)
    assert chain == list(RoutingMode)
    assert RoutingMode.SERVICE.better == tuple(chain[1:])
    assert RoutingMode.best() is chain[-1]
    assert RoutingMode.best().better == ()
    seen = [list(Sees).index(mode.sees) for mode in chain]
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    ("mode", "blind", "oracle", "equal_pods"),
    [
        (RoutingMode.SERVICE, True, False, True),
        (RoutingMode.HTTP_ROUTE, True, False, False),
        (RoutingMode.INFERENCE_POOL, False, False, False),
        (RoutingMode.PER_BUCKET, False, True, False),
    ],
)
def test_traits(mode: RoutingMode, blind: bool, oracle: bool, equal_pods: bool) -> None:
    assert (mode.blind, mode.oracle, mode.equal_pods) == (blind, oracle, equal_pods)


@pytest.mark.parametrize("mode", list(RoutingMode))
def test_pods_get_equal_shares_only_where_the_router_is_blind(mode: RoutingMode) -> None:
    assert mode.blind or not mode.equal_pods


@pytest.mark.parametrize(
    ("mode", "classes"),
    [
        (RoutingMode.SERVICE, [(0, 1, 3)]),
        (RoutingMode.HTTP_ROUTE, [(0, 1, 3)]),
        (RoutingMode.INFERENCE_POOL, [(1, 3), (0,)]),
        (RoutingMode.PER_BUCKET, [(0,), (1,), (3,)]),
    ],
)
def test_classes_are_what_the_router_cannot_tell_apart(mode: RoutingMode, classes: list[tuple[int, ...]]) -> None:
    assert mode.classes(BUCKETS, (3, 0, 1)) == classes


@pytest.mark.parametrize("mode", list(RoutingMode))
def test_no_bucket_makes_no_class(mode: RoutingMode) -> None:
    assert mode.classes(BUCKETS, ()) == []


def test_modes_are_described_for_a_schema() -> None:
    text = RoutingMode.described()
    assert all(f"{mode.value} (" in text for mode in RoutingMode)
