"""docs/reference.md is the one place for names: what it lists exists in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()
CODE = "\n".join(path.read_text() for path in sorted((ROOT / "operator").rglob("*.py")))
PLANNER = "\n".join(path.read_text() for path in sorted((ROOT / "planner" / "medley_planner" / "model").glob("*.py")))
PLANNER += (ROOT / "planner" / "medley_planner" / "omitted.py").read_text()
REASONS = sorted(set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][A-Za-z]+)?)`", REFERENCE.split("## Conditions")[1])))
FLAGS = sorted(set(re.findall(r"`(--[a-z-]+)`", REFERENCE)))


@pytest.mark.parametrize("reason", REASONS)
def test_each_condition_and_reason_is_in_the_code(reason: str) -> None:
    # Reasons are words of at least one lower-case hump; kinds such as GPUPool are not matched.
    assert f'"{reason}"' in CODE + PLANNER


@pytest.mark.parametrize("flag", FLAGS)
def test_each_flag_is_a_setting(flag: str) -> None:
    assert f'"{flag}"' in CODE
