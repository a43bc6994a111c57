"""Little's law read backwards gives the joint mean of a load that is made up, and refuses what it cannot tell."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from medley_planner.workload.held_tokens import HeldFault, HeldTokens, Moments, Untold, joint_ratio

ITL, PREFILL, BLOCK, SECONDS = 0.02, 0.05, 16.0, 300.0
LOAD = [(300.0, 400.0)] * 500 + [(2000.0, 50.0)] * 500
"""Prompt and generation of each request: opposite sizes."""
PROMPT = Moments(1150.0, (300.0**2 + 2000.0**2) / 2)
GENERATION = Moments(225.0, (400.0**2 + 50.0**2) / 2)
RATIO = (300.0 * 400.0 + 2000.0 * 50.0) / 2 / (1150.0 * 225.0)


def held(**changes: Any) -> HeldTokens:
    """The counts of engines for `LOAD` in a steady state: prefill takes time in proportion to the prompt."""
    prefill = [PREFILL * prompt / PROMPT.mean for prompt, _ in LOAD]
    tokens = sum(
        (prompt + BLOCK / 2) * seconds + ITL * generation * (prompt + generation / 2 + BLOCK / 2)
        for (prompt, generation), seconds in zip(LOAD, prefill, strict=True)
    )
    figures = HeldTokens(
        seconds=SECONDS,
        finished=1000.0,
        growth=0.0,
        tokens_held=tokens / SECONDS,
        samples=150.0,
        usage=0.3,
        block_tokens=BLOCK,
        inter_token_seconds=ITL * 225_000,
        inter_tokens=225_000.0,
        prefill_seconds=1000 * PREFILL,
        preemptions=0.0,
        prefix_hit_rate=0.0,
    )
    return replace(figures, **changes)


def test_opposite_sizes_are_recovered_less_the_doubt_of_prefill() -> None:
    found = joint_ratio(held(), prompt=PROMPT, generation=GENERATION)
    doubt = PREFILL * PROMPT.square / PROMPT.mean / (ITL * PROMPT.mean * GENERATION.mean)
    assert found == pytest.approx(RATIO + doubt)
    assert doubt < 0.03


def test_without_prefill_nothing_is_in_doubt() -> None:
    no_prefill = held(tokens_held=held().tokens_held - 1000 * PREFILL * (PROMPT.square / PROMPT.mean + 8.0) / SECONDS)
    found = joint_ratio(replace(no_prefill, prefill_seconds=0.0), prompt=PROMPT, generation=GENERATION)
    assert found == pytest.approx(RATIO)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"finished": 199.0}, HeldFault.FEW_REQUESTS),
        ({"inter_tokens": 0.0}, HeldFault.NO_LATENCY),
        ({"inter_token_seconds": 0.0}, HeldFault.NO_LATENCY),
        ({"prefix_hit_rate": 0.21}, HeldFault.PREFIX_HITS),
        ({"preemptions": 11.0}, HeldFault.PREEMPTIONS),
        ({"growth": -201.0}, HeldFault.UNSTEADY),
        ({"usage": 0.91}, HeldFault.CACHE_FULL),
        ({"usage": 0.004}, HeldFault.CACHE_IDLE),
        ({"tokens_held": 3000.0}, HeldFault.IMPLAUSIBLE),
        ({"tokens_held": math.nan}, HeldFault.IMPLAUSIBLE),
        ({"samples": 0.0}, HeldFault.UNCERTAIN),
    ],
)
def test_refusals(changes: dict[str, float], fault: HeldFault) -> None:
    found = joint_ratio(held(**changes), prompt=PROMPT, generation=GENERATION)
    assert isinstance(found, Untold)
    assert found.fault is fault
    assert found.message
