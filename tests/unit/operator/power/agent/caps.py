"""NodePowerCaps for tests."""

from __future__ import annotations

from typing import Any

from medley_operator.api.v1alpha1.power import NodePowerCap
from medley_operator.domain.values.leadtime import utc_text
from medley_operator.power.agent.orders import Moment

UNIX = 1_790_000_000.0
LIMIT = {"clockFraction": "0.787", "capWatts": 300}
SAFE = {"clockFraction": "0.5", "capWatts": 200}


def at(seconds: float) -> Moment:
    """So long after the first moment: the monotonic clock begins at 100."""
    return Moment(UNIX + seconds, 100.0 + seconds)


def node_power_cap(
    *, renewed: float = 0.0, duration: int = 30, generation: int = 1, status: Any = None, **spec: Any
) -> NodePowerCap:
    lease = {"holder": "controller-0", "renewTime": utc_text(UNIX + renewed), "durationSeconds": duration}
    return NodePowerCap.model_validate(
        {
            "metadata": {"name": "node-1", "uid": "uid-1", "generation": generation},
            "spec": {"lease": lease, "others": {"limit": LIMIT, "safe": SAFE}} | spec,
            "status": status or {},
        }
    )
