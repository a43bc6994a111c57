"""How much spare capacity a plan keeps: what the service asks for, and more where its sizes are less certain. Pure.

The load of a fleet depends on how prompt and generation sizes go together. Where that is not counted, the plan keeps
room for what it may be off by. Figures: `make bench-demand`, shortfall of the load beside the one with the joint sizes
counted, over five traces and four GPUs, nine windows of ten: tilted 2 %, per variant 2 %. For the plain product it is
2 % on the three public traces and 28 % with two mixtures of workloads, in one of which long answers go with long
prompts; 10 % is a choice between them, since a tilt corrects that as soon as the engine's figures allow one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from medley_planner.model import SizeSource

SIZE_HEADROOM_PERCENT: Mapping[SizeSource, int] = MappingProxyType(
    {
        SizeSource.INDEPENDENT: 10,
        SizeSource.TILTED: 2,
        SizeSource.PER_VARIANT: 2,
        SizeSource.GATEWAY: 0,
        SizeSource.STATIC: 0,
    }
)
"""On top of `spec.scaling.headroomPercent`, by where the joint sizes come from."""


def utilisation_limit(headroom_percent: float, source: SizeSource) -> float:
    """The largest share of its capacity that a replica is planned to be used at."""
    return 1.0 / ((1.0 + headroom_percent / 100.0) * (1.0 + SIZE_HEADROOM_PERCENT[source] / 100.0))
