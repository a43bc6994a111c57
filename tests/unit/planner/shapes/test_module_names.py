"""Names, globs and regular expressions of quantized checkpoints, without running any of them."""

from __future__ import annotations

import time

import pytest

from medley_planner.shapes.module_names import ModuleNames, UnreadablePattern

UP = "layers.3.mlp.up_proj"


@pytest.mark.parametrize(
    ("pattern", "name", "named"),
    [
        ("model.layers.3.mlp.up_proj", UP, True),
        ("model.layers.3.mlp", UP, True),
        ("model.layers.3", UP, True),
        ("model.layers.30.mlp", UP, False),
        ("model.layers.3.mlp.up", UP, False),
        ("model.language_model.layers.3.mlp*", UP, True),
        ("model.layers.3*", UP, True),
        ("lm_head", UP, False),
        ("gate", "layers.3.mlp.gate", True),
        ("gate", "layers.3.mlp.gate_proj", False),
        ("self_attn", "layers.9.self_attn.q_proj", True),
        ("model.layers.*.self_attn", "layers.9.self_attn.q_proj", False),
        ("*.attn.*", "layers.9.attn.q_a_proj", True),
        ("*.mlp.shared_expert.*", "layers.9.mlp.shared_expert.up_proj", True),
        ("mtp.*", UP, False),
        ("re:.*self_attn.*", "layers.9.self_attn.q_proj", True),
        ("re:.*self_attn.*", UP, False),
        (r"re:.*mlp\.(gate|up|gate_up|down)_proj.*", UP, True),
        (r"re:.*mlp\.(gate|up|gate_up|down)_proj.*", "layers.3.mlp.experts.0.up_proj", False),
        (r"re:.*\.layers\.\d+\.mlp.*", UP, True),
        (r"re:model\.layers\.[0-9]+\.mlp\.up_proj$", UP, True),
        (r"re:.*up$", UP, False),
        ("re:.*lm_head.*", UP, False),
    ],
)
def test_a_pattern_names_what_it_should(pattern: str, name: str, named: bool) -> None:
    assert (name in ModuleNames.of([pattern])) is named


@pytest.mark.parametrize(
    "pattern", ["re:(a+)+b", "re:^(?!.*lm_head).*$", "re:[a-z]+", "re:a{9}", "re:(a|(b))", "re:x\\"]
)
def test_a_regular_expression_that_is_more_is_refused(pattern: str) -> None:
    with pytest.raises(UnreadablePattern):
        ModuleNames.of([pattern])


def test_a_pattern_made_to_take_long_takes_no_longer() -> None:
    names = ModuleNames.of(["re:" + ".*a" * 200 + "b", "re:" + "(a|b)" * 6 + ".*c"])
    begin = time.process_time()
    assert "a" * 2000 not in names
    assert time.process_time() - begin < 2.0
    with pytest.raises(UnreadablePattern):
        ModuleNames.of(["re:" + "(a|b)" * 30])
