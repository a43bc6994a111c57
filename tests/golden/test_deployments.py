"""Deployments as their files have them, whole. A difference reaches users: see that it is meant, and that
`template.TEMPLATE_VERSION` goes up where the pod template differs. `python -m tests.golden.test_deployments` writes the
files anew.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import yaml

from medley_operator.domain.engine.template import APPLIED, INPUTS
from medley_operator.domain.values.snapshot import Manifest
from tests.golden.deployment_cases import CASES, FOLDER, rendered

STAMPED: Mapping[str, str] = yaml.safe_load((FOLDER.parent / "template_inputs.yaml").read_text())


def shown(case: str) -> Manifest:
    """Without the copy of the template in an annotation."""
    manifest = rendered(case)
    del manifest["metadata"]["annotations"][APPLIED]
    return manifest


@pytest.mark.parametrize("case", CASES)
def test_deployment_is_as_its_file_has_it(case: str) -> None:
    assert shown(case) == yaml.safe_load((FOLDER / f"{case}.yaml").read_text())


@pytest.mark.parametrize("case", STAMPED)
def test_an_upgrade_keeps_every_pod(case: str) -> None:
    """Equal hashes keep the template that was applied (tests/unit/operator/domain/engine/test_template.py). A new case
    has its line when the version that renders it is released."""
    assert rendered(case)["metadata"]["annotations"][INPUTS] == STAMPED[case]


def test_each_file_has_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(CASES)


if __name__ == "__main__":
    for each in CASES:
        (FOLDER / f"{each}.yaml").write_text(yaml.safe_dump(shown(each), sort_keys=False, width=120))
