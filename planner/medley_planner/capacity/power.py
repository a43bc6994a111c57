"""Watts of a replica at a load: idle power and, by what the engine does, a share of the rest of the limit. Pure."""

from __future__ import annotations

from medley_planner.layout import Layout

# Splitwise's measured power fractions (A100, H100): prompts 0.9 to 1 of the limit, decoding 0.5 to 0.7.
_PREFILL, _DECODE = 0.95, 0.60
_IDLE = 0.12
"""Idle board power over the limit; a guess (70 to 90 W of 700 W were seen on H100)."""


def watts(layout: Layout, *, prefill_share: float, busy_share: float) -> float:
    """Mean watts of one replica; `busy_share` of the time steps run, `prefill_share` of it on prompts."""
    active = busy_share * (prefill_share * _PREFILL + (1.0 - prefill_share) * _DECODE)
    return layout.gpus * layout.gpu.watts * (_IDLE + (1.0 - _IDLE) * active)
