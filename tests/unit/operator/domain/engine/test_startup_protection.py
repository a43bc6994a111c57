"""A pod is born protected, and stays protected until it is Ready, without a change of its template."""

from __future__ import annotations

from medley_operator.domain.engine.startup_protection import PROTECTION, protection_release
from tests.unit.operator.domain.engine.test_deployment import deployment

BORN = deployment()["spec"]["template"]["metadata"]["annotations"]


def test_a_pod_is_born_protected() -> None:
    assert BORN == {
        "karpenter.sh/do-not-disrupt": "true",
        "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    }


def test_a_pod_that_starts_keeps_it() -> None:
    assert protection_release(BORN, ready=False, uid="u") is None


def test_a_ready_pod_loses_it_by_a_patch_of_its_own() -> None:
    patch = protection_release({**BORN, "team": "a"}, ready=True, uid="u")
    assert patch == {"metadata": {"uid": "u", "annotations": dict.fromkeys(PROTECTION)}}


def test_where_nothing_is_left_nothing_is_written() -> None:
    assert protection_release({"team": "a"}, ready=True, uid="u") is None
    half = {"karpenter.sh/do-not-disrupt": "true"}
    assert protection_release(half, ready=True, uid="u") == {
        "metadata": {"uid": "u", "annotations": {"karpenter.sh/do-not-disrupt": None}}
    }
