"""Instances to plan, drawn with a seed: fleets, single services, days of changing demand.

Pure: equal arguments give equal instances, so that a benchmark's figures can be compared and a test's failure repeated.
Capacities are those of the data sheets, but in `small_service`, which draws them.
"""

from tests.generator.catalogue import MODELS, POOLS, SPOT_POOLS, Shape, shapes
from tests.generator.days import STEPS_A_DAY, day
from tests.generator.fleets import Extras, changed, fleet, running
from tests.generator.limits import scarce
from tests.generator.singles import eight_pools, few_sizes, small_service, thirty_variants

__all__ = [
    "MODELS",
    "POOLS",
    "SPOT_POOLS",
    "STEPS_A_DAY",
    "Extras",
    "Shape",
    "changed",
    "day",
    "eight_pools",
    "few_sizes",
    "fleet",
    "running",
    "scarce",
    "shapes",
    "small_service",
    "thirty_variants",
]
