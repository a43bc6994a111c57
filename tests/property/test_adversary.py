"""A short form of `make fuzz`: plans of drawn problems against an integer program written from the docs alone."""

from __future__ import annotations

import pytest

from tests.adversary.draw import drawn
from tests.adversary.fuzz import mismatches

_FAULTS = (857, 1188, 701778, 702106, 702572)
"""Problems that once failed: a service of which no fleet is known, a minimum above the stock of all that a service may
use, and minima beside cuts and spot shares."""


@pytest.mark.parametrize("seed", [*range(40), *_FAULTS])
def test_a_plan_is_what_the_adversary_finds(seed: int) -> None:
    assert mismatches(drawn(seed)) == []
