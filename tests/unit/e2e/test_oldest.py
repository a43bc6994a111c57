"""Which version of Kubernetes an object is held to, and that the versions are those that the project names."""

from __future__ import annotations

from pathlib import Path

import yaml

from e2e.controlplane.recipes import COMPONENTS
from e2e.oldest import ADMISSION, IMAGE_VOLUME, NEWEST, OLDEST, needed_version
from tests.golden.deployment_cases import rendered

ROOT = Path(__file__).parents[3]


def test_the_oldest_is_the_charts_and_the_newest_the_control_planes() -> None:
    chart = yaml.safe_load((ROOT / "helm" / "medley" / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == f">={OLDEST}.0-0"
    kubernetes = next(each for each in COMPONENTS if each.name == "kubernetes")
    assert kubernetes.version().startswith(f"v{NEWEST}.")
    needs = (ROOT / "docs" / "install.md").read_text()
    for version in (OLDEST, ADMISSION, IMAGE_VOLUME, NEWEST):
        assert version in needs


def test_an_object_is_held_to_the_oldest_that_has_what_it_asks_for() -> None:
    policy = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding"}
    assert needed_version(policy) == ADMISSION
    assert needed_version(rendered("hf-default-plain")) == OLDEST
    assert needed_version(rendered("oci-default-plain")) == IMAGE_VOLUME
