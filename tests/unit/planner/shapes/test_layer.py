"""Caches, and layers that stand together."""

from __future__ import annotations

from medley_planner.shapes.feed_forwards import dense
from medley_planner.shapes.layer import Cache, Layers, ModelLayer, grouped
from medley_planner.shapes.mixers import attention


def test_bytes_per_token_by_heads_and_gpus() -> None:
    eight_heads = Cache(256, heads=8)
    assert eight_heads.bytes_per_token(1, 2.0) == eight_heads.bytes_per_token(8, 2.0) == 8 * 512
    assert eight_heads.bytes_per_token(16, 2.0) == 16 * 512, "beyond its heads each GPU keeps a copy"
    assert Cache(576).bytes_per_token(4, 1.0) == 4 * 576, "one vector is whole on each GPU"
    assert Cache(128, element_bytes=1.5).bytes_per_token(1, 2.0) == 192


def test_span_is_what_a_step_reads_at_most() -> None:
    spans = [Cache(1).span, Cache(1, window=128).span, Cache(1, reads=2048).span, Cache(1, window=64, reads=32).span]
    assert spans == [0, 128, 2048, 32]


def test_equal_layers_stand_together_in_the_order_of_the_first() -> None:
    part = dense(hidden=8, size=16)
    full = ModelLayer(attention(hidden=8, heads=2, kv_heads=1, size=4), part)
    cut = ModelLayer(attention(hidden=8, heads=2, kv_heads=1, size=4, window=32), part)
    assert grouped([cut, full, cut, cut]) == (Layers(3, cut), Layers(1, full))
    assert full.every_token == 8 * 4 * (2 * 2 + 2 * 1) + 3 * 8 * 16
    assert full.in_experts == 0
