"""The front door of the planner: its names, its example, and that it loads nothing before it is asked for."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from pathlib import Path

import pytest

import medley_planner

GUIDE = Path(__file__).parents[3] / "docs" / "library.md"
NAMES = [
    "BadInput",
    "Bucket",
    "Demand",
    "Engine",
    "EngineKind",
    "FleetPlan",
    "InvalidProblem",
    "KvFormat",
    "Layout",
    "NodePrice",
    "PlanFailure",
    "PlanStatus",
    "Pool",
    "PowerBudget",
    "Precision",
    "Priority",
    "Problem",
    "Provenance",
    "RoutingMode",
    "Service",
    "ServicePlan",
    "SizeSource",
    "Source",
    "Variant",
    "bundled_shape",
    "demand_from_means",
    "generate",
    "gpu",
    "known_gpus",
    "plan_fleet",
    "shape_from_config",
    "verify",
]


def _example() -> doctest.DocTest:
    return doctest.DocTestParser().get_doctest(medley_planner.__doc__ or "", {}, "medley_planner", None, 0)


def test_the_names_are_these() -> None:
    assert medley_planner.__all__ == NAMES
    assert set(NAMES) <= set(dir(medley_planner))


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_there_and_says_what_it_is(name: str) -> None:
    member = getattr(medley_planner, name)
    assert member.__name__ == name
    assert member.__module__.startswith("medley_planner.")
    written = (member.__doc__ or "").strip()
    assert written
    assert not written.startswith(f"{name}(")  # what dataclasses write where nobody did


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'StrEnum'"):
        _ = medley_planner.StrEnum  # type: ignore[attr-defined]


def test_the_example_runs() -> None:
    example = _example()
    assert len(example.examples) > 5
    said: list[str] = []
    failed = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(example, out=said.append).failed
    assert failed == 0, "".join(said)


def test_the_guide_has_the_same_example() -> None:
    blocks = re.findall(r"```(?:python|text)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    example = _example().examples
    assert blocks[0].replace("\n\n", "\n") == "".join(each.source for each in example)
    assert blocks[1] == "".join(each.want for each in example)


def test_the_door_opens_nothing_by_itself() -> None:
    code = (
        "import sys, medley_planner; "
        "before = [name for name in sys.modules if name.startswith('medley_planner.')]; "
        "medley_planner.Problem, medley_planner.FleetPlan; "
        "sys.exit(str(before).strip('[]') or ('medley_planner.optimize' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
