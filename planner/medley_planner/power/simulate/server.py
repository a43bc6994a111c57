"""A simulated server of eight A100: its watts and its speed by what it does and by the clock that it is held to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log2

from medley_planner.power.ladder import GpuSetting
from medley_planner.power.simulate.requests import SLOTS
from medley_planner.power.tree import CLOCK_EXPONENT, Board

BOARDS = Board("8 x A100", idle_watts=640.0, min_cap_watts=800.0, max_watts=3200.0)
"""The GPUs of a server, which always have one setting."""
NON_GPU_WATTS = 2200.0
"""Draw of a server that works; 700 W less when it is idle."""
_IDLE_NON_GPU_WATTS = 1500.0
_PROMPT_PART = 0.82
"""Part of the GPUs' limit, beyond idle: a prompt phase draws 1.02 times the limit, as measured on BLOOM-176B."""
_DECODE_PART = 0.40
_PROMPT_SENSITIVITY = 0.9
_DECODE_SENSITIVITY = 0.18


@dataclass(frozen=True, slots=True)
class ServerPace:
    """Speeds (1: at the highest clock) and watts at one setting. `decode_watts[b]`: with b requests decoding."""

    prompt_speed: float
    decode_speed: float
    prompt_watts: float
    decode_watts: tuple[float, ...]


@lru_cache(maxsize=256)
def pace(setting: GpuSetting) -> ServerPace:
    """A lock holds the clock in both phases; a cap only where the phase would draw more."""
    limit = BOARDS.max_watts
    prompt_clock = _clock(setting, _PROMPT_PART)
    decode = []
    for batch in range(SLOTS + 1):
        part = _DECODE_PART * (0.65 + 0.35 * log2(batch) / log2(SLOTS)) if batch else 0.0
        clock = _clock(setting, part)
        base = NON_GPU_WATTS if batch else _IDLE_NON_GPU_WATTS
        decode.append(base + BOARDS.idle_watts + limit * part * clock**CLOCK_EXPONENT)
    return ServerPace(
        prompt_speed=_speed(prompt_clock, _PROMPT_SENSITIVITY),
        decode_speed=_speed(_clock(setting, _DECODE_PART), _DECODE_SENSITIVITY),
        prompt_watts=NON_GPU_WATTS + BOARDS.idle_watts + limit * _PROMPT_PART * prompt_clock**CLOCK_EXPONENT,
        decode_watts=tuple(decode),
    )


def _clock(setting: GpuSetting, part: float) -> float:
    """The clock at which GPUs run that draw this part of their limit beyond idle at the highest one."""
    if setting.cap_watts is None or part == 0.0:
        return setting.clock_fraction
    allowed = max(setting.cap_watts - BOARDS.idle_watts, 0.0) / (part * BOARDS.max_watts)
    return float(min(setting.clock_fraction, allowed ** (1.0 / CLOCK_EXPONENT)))


def _speed(clock: float, sensitivity: float) -> float:
    return 1.0 / (1.0 - sensitivity + sensitivity / clock)
