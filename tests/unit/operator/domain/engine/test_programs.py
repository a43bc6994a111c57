"""Each inference server has its row in every table that is keyed by it."""

from __future__ import annotations

import pytest

from medley_operator.api.v1alpha1 import ModelProfileSpec, RuntimeProfileSpec
from medley_operator.domain.engine.arguments import reserved_flags
from medley_operator.domain.engine.programs import CACHE_PATH, PROGRAMS
from medley_operator.metrics.engine_names import BY_ENGINE, EVERY_ENGINE
from medley_planner.catalog import gpu
from medley_planner.layout import EngineKind, Layout
from medley_planner.variants import RunAs, kv_format_of, run_as, unreadable_argument, variant_flags


@pytest.mark.parametrize("engine", EngineKind)
def test_an_engine_has_a_row_in_every_table(engine: EngineKind) -> None:
    program = PROGRAMS[engine]
    flags = [flag.name for flag in program.flags]
    assert len({*flags, *program.reserved, *variant_flags(engine)}) == len(reserved_flags(engine))
    assert not {*flags} & variant_flags(engine), "a flag is either alike in all variants or set by each"
    assert all(value.startswith(CACHE_PATH) for name, value in program.environment if name.endswith(("HOME", "ROOT")))
    assert set(BY_ENGINE[engine].running) <= set(EVERY_ENGINE.running)
    layout = Layout(gpu("L4"), engine=engine)
    assert run_as({}, layout) == RunAs(layout)
    assert kv_format_of(engine, {}) is layout.kv_format
    assert unreadable_argument(engine, {}) is None


def test_engines_are_named_in_the_api_as_in_the_planner() -> None:
    assert RuntimeProfileSpec.model_fields["engine"].annotation is EngineKind
    assert ModelProfileSpec.model_fields["engine"].annotation is EngineKind
