"""Faults and changes of the replayed world: when, where and how much. Read from text; `faults_in_world` applies them.

`out-of-stock:h100@1h+1h` (from 1 h on, for 1 h), `prometheus@2h+20m`, `crash:l4@30m:0.5` (half of the pool's Ready pods
at once), `reclaim:spot@2h:0.5` (half of its nodes that hold pods, after two minutes' notice), `price:h100@6h:9.5` (US
dollars per GPU and hour from then on).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from medley_planner.units import duration_seconds

_FAULT = re.compile(r"([a-z-]+)(?::([^@]+))?@([0-9.]+(?:ms|s|m|h))(?:\+([0-9.]+(?:ms|s|m|h)))?(?::([0-9.]+))?")


class FaultKind(StrEnum):
    OUT_OF_STOCK = "out-of-stock"
    PROMETHEUS = "prometheus"
    CRASH = "crash"
    RECLAIM = "reclaim"
    PRICE = "price"

    @property
    def lasts(self) -> bool:
        """Whether it has an end; the others happen once."""
        return self in (FaultKind.OUT_OF_STOCK, FaultKind.PROMETHEUS)


@dataclass(frozen=True, slots=True)
class WorldFault:
    """`pool` is empty for Prometheus; `amount`: a share, or a price; 0 where there is none."""

    kind: FaultKind
    at_seconds: float
    pool: str = ""
    lasts_seconds: float = 0.0
    amount: float = 0.0


def fault_of(text: str) -> WorldFault:
    """Raises ValueError with the value and the accepted forms."""
    match = _FAULT.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        name, pool, at, lasts, amount = match.groups()
        kind = FaultKind(name)
        wanted = (kind is not FaultKind.PROMETHEUS, kind.lasts, not kind.lasts)
        if wanted != (pool is not None, lasts is not None, amount is not None):
            raise ValueError(text)
        fault = WorldFault(
            kind, duration_seconds(at), pool or "", duration_seconds(lasts) if lasts else 0.0, float(amount or 0.0)
        )
        if kind in (FaultKind.CRASH, FaultKind.RECLAIM) and not 0.0 < fault.amount <= 1.0:
            raise ValueError(text)
    except ValueError:
        raise ValueError(
            f'"{text}" is not a fault; write out-of-stock:POOL@1h+1h, prometheus@2h+20m, crash:POOL@30m:0.5, '
            "reclaim:POOL@2h:0.5 or price:POOL@6h:9.5"
        ) from None
    return fault
