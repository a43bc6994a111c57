"""Equal content, equal digest; whatever changes a table changes it, and what calibration moves a little does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from medley_planner.capacity import Speed, StepFactors, TableKey
from medley_planner.layout import KvFormat
from medley_planner.shapes import Precision, bundled_shape
from tests.unit.planner.capacity.tables import MAX_MODEL_LEN, TARGETS, key


def _group(asked: TableKey, **changes: object) -> TableKey:
    return replace(asked, group=replace(asked.group, **changes))  # type: ignore[arg-type]


def _laid_out(asked: TableKey, **changes: object) -> TableKey:
    return replace(asked, layout=replace(asked.layout, **changes))  # type: ignore[arg-type]


CHANGES: dict[str, Callable[[TableKey], TableKey]] = {
    "model": lambda k: _group(k, shape=bundled_shape("meta-llama/Llama-3.1-70B-Instruct")),
    "catalogue row": lambda k: _laid_out(k, gpu=replace(k.layout.gpu, kv=k.layout.gpu.kv * 1.01)),
    "tensor parallel": lambda k: _laid_out(k, tensor_parallel=2),
    "precision": lambda k: _laid_out(k, precision=Precision.FP8),
    "bytes in the cache": lambda k: _laid_out(k, kv_format=KvFormat.FP8),
    "factors": lambda k: replace(k, factors=StepFactors(kv=1.1)),
    "cache": lambda k: replace(k, kv_tokens=k.kv_tokens // 2),
    "longest sequence": lambda k: _group(k, max_model_len=8192),
    "version": lambda k: _laid_out(k, engine_version="0.33.0"),
    "budget": lambda k: replace(k, token_budget=4096),
    "sequences": lambda k: _group(k, max_sequences=128),
    "TTFT": lambda k: _group(k, targets=replace(TARGETS, ttft_seconds=1.1)),
    "TPOT": lambda k: _group(k, targets=replace(TARGETS, tpot_seconds=0.051)),
    "percentile": lambda k: _group(k, targets=replace(TARGETS, percentile=96.0)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_each_part_is_in_the_digest(what: str) -> None:
    asked = key()
    assert key().digest() == asked.digest()
    assert CHANGES[what](asked).digest() != asked.digest()


def speed(compute: float, kv_tokens: int | None = None) -> Speed:
    return Speed(factors=StepFactors(compute=compute), kv_tokens=kv_tokens)


def test_what_calibration_moves_by_little_keeps_the_key() -> None:
    """2.5 % is the width of the grid: moves within 1 % around one of its values stay there, larger ones do not."""
    assert key(speed=speed(1.005)) == key(speed=speed(0.995)) == key()
    assert key(speed=speed(1.1)) != key()
    drifting = [key(speed=speed(1.0 + step / 1000)) for step in range(200)]
    assert len(set(drifting)) == 8
    caches = [key(speed=speed(1.0, 400_000 + 100 * step)) for step in range(100)]
    assert len(set(caches)) <= 2


def test_a_rounded_cache_still_holds_the_longest_sequence() -> None:
    for tokens in (MAX_MODEL_LEN, MAX_MODEL_LEN + 16, MAX_MODEL_LEN + 700, 431_008):
        rounded = key(speed=speed(1.0, tokens)).kv_tokens
        assert MAX_MODEL_LEN <= rounded <= tokens
        assert rounded >= tokens / 1.03
