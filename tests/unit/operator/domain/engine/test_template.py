"""A newer Medley changes no pod template of a running variant; a change of what it is made of does."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from medley_operator.domain.engine.template import APPLIED, INPUTS, VERSION, kept_template
from medley_operator.domain.rollout.diff import differences
from medley_operator.domain.values.snapshot import Manifest
from medley_planner.capacity import ESTIMATE
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape
from medley_planner.variants import Replica
from tests.unit.operator import factories as make
from tests.unit.operator.domain.engine.test_deployment import container, deployment, pod

REPLICA = Replica(
    shape=bundled_shape(make.LLAMA),
    layout=Layout(gpu("L4")),
    token_budget=2048,
    max_sequences=256,
    max_model_len=16384,
    utilisation=0.9,
    speed=ESTIMATE,
)


def inputs(**overrides: Any) -> str:
    found: str = deployment(**{"replica": REPLICA, **overrides})["metadata"]["annotations"][INPUTS]
    return found


def by_an_older_medley(made: Manifest, change: Callable[[Manifest], None]) -> Manifest:
    """The Deployment as another version of the code has rendered it."""
    older = copy.deepcopy(made)
    change(older["spec"]["template"])
    older["metadata"]["annotations"] |= {APPLIED: json.dumps(older["spec"]["template"]), VERSION: "1"}
    return older


def with_another_flag(template: Manifest) -> None:
    template["spec"]["containers"][0]["args"].append("--a-flag-of-then")


def with_another_probe(template: Manifest) -> None:
    template["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = 20
    template["metadata"]["labels"].pop("llm-d.ai/role")


@pytest.mark.parametrize("change", [with_another_flag, with_another_probe])
def test_an_upgrade_of_the_operator_rolls_nothing(change: Callable[[Manifest], None]) -> None:
    """All pods of all variants were replaced by an upgrade that renders anything differently."""
    wanted = deployment(replica=REPLICA)
    older = by_an_older_medley(wanted, change)
    kept = kept_template(older, wanted)
    assert kept["spec"]["template"] == older["spec"]["template"]
    assert kept["metadata"]["annotations"][VERSION] == "1"
    assert not list(differences(kept, older))


def test_replicas_and_strategy_still_change() -> None:
    older = by_an_older_medley(deployment(replica=REPLICA), with_another_flag)
    kept = kept_template(older, deployment(replica=REPLICA, replicas=7, surge=False))
    assert kept["spec"]["replicas"] == 7
    assert kept["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == 0
    assert kept["spec"]["template"] == older["spec"]["template"]


def test_a_changed_spec_brings_the_new_template() -> None:
    wanted = deployment(replica=REPLICA, profile=make.profile(image="vllm/vllm-openai:v0.33.0"))
    older = by_an_older_medley(deployment(replica=REPLICA), with_another_flag)
    assert kept_template(older, wanted) == wanted


@pytest.mark.parametrize(
    "overrides",
    [
        {"service": make.service(spec={"model": {"uri": make.LLAMA, "maxModelLen": 4096}})},
        {"service": make.service(spec={"model": {"uri": make.LLAMA, "name": "other"}})},
        {"service": make.service(spec={"model": {"uri": make.LLAMA, "tokenSecretRef": {"name": "a"}}})},
        {"service": make.service(spec={"runtime": {"args": ["--enable-prefix-caching"]}})},
        {"service": make.service(spec={"drain": {"timeout": "30s"}})},
        {"profile": make.profile(image="a/b:1")},
        {"profile": make.profile(startupTimeout="5m")},
        {"profile": make.profile(cache={"emptyDir": {"sizeLimit": "90Gi"}})},
        {"profile": make.profile(pod={"schedulerName": "packing"})},
        {"pool": make.pool(tolerations=[{"key": "gpu"}])},
        {"variant": "l4-tp2"},
        {"replica": REPLICA.changed({"tensor_parallel": 2})},
        {"replica": REPLICA.changed({"token_budget": 512})},
    ],
)
def test_what_a_template_is_made_of(overrides: Any) -> None:
    assert inputs(**overrides) != inputs()


@pytest.mark.parametrize(
    "overrides",
    [
        {"replicas": 9, "surge": False},
        {"service": make.service(spec={"scaling": {"maxReplicas": 9}, "slo": {"ttft": "9s"}, "priority": "High"})},
        {"service": make.service(spec={"model": {"uri": make.LLAMA, "precision": "Auto"}})},
        {"service": make.service(spec={"model": {"uri": make.LLAMA, "configJson": "{}"}})},
        {"profile": make.profile(allowedArgs=["--other"], tokenBudgets=[512, 2048])},
        # Defaults that are written out, as the API server does it.
        {"profile": make.profile(pod={"env": []}, resources={"cpu": "4"}, sharedMemory="8Gi")},
        {"pool": make.pool(price="9", nodes=9)},
        # Flags of a layout are the code's; the layout counts.
        {"engine_flags": (("--a-flag-of-a-newer-medley", "1"),)},
    ],
)
def test_what_a_template_is_not_made_of(overrides: Any) -> None:
    assert inputs(**overrides) == inputs()


def test_what_others_change_is_put_back_to_what_was_applied() -> None:
    wanted = deployment(replica=REPLICA)
    older = by_an_older_medley(wanted, with_another_flag)
    edited = copy.deepcopy(older)
    container(edited)["image"] = "evil/miner:1"
    kept = kept_template(edited, wanted)
    assert kept["spec"]["template"] == older["spec"]["template"]
    assert [each.path for each in differences(kept, edited)] == ["spec.template.spec.containers[main].image"]


def privileged(template: Manifest) -> None:
    template["spec"]["containers"][0]["securityContext"] = {"privileged": True}


def another_image(template: Manifest) -> None:
    template["spec"]["containers"][0]["image"] = "evil/miner:1"


def another_account(template: Manifest) -> None:
    template["spec"]["serviceAccountName"] = "admin"


def a_sidecar(template: Manifest) -> None:
    template["spec"]["containers"].append({"name": "miner", "image": "evil/miner:1"})


def a_host_path(template: Manifest) -> None:
    template["spec"]["volumes"].append({"name": "root", "hostPath": {"path": "/"}})


def the_hosts_network(template: Manifest) -> None:
    template["spec"]["hostNetwork"] = True


def nothing_at_all(template: Manifest) -> None:
    template.clear()


@pytest.mark.parametrize(
    "forgery",
    [privileged, another_image, another_account, a_sidecar, a_host_path, the_hosts_network, nothing_at_all],
)
def test_a_forged_annotation_brings_no_rights(forgery: Callable[[Manifest], None]) -> None:
    wanted = deployment(replica=REPLICA)
    assert kept_template(by_an_older_medley(wanted, forgery), wanted) == wanted


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100000, '{"spec": 1}', '{"spec": {"containers": [1]}}'])
def test_an_annotation_that_is_not_a_template_counts_as_none(text: str) -> None:
    wanted = deployment(replica=REPLICA)
    broken = copy.deepcopy(wanted)
    broken["metadata"]["annotations"][APPLIED] = text
    assert kept_template(broken, wanted) == wanted


def test_what_is_not_there_or_has_no_stamp_is_rendered_anew() -> None:
    wanted = deployment(replica=REPLICA)
    assert kept_template(None, wanted) is wanted
    bare = copy.deepcopy(wanted)
    del bare["metadata"]["annotations"]
    with_another_flag(bare["spec"]["template"])
    assert kept_template(bare, wanted) is wanted
    assert pod(kept_template(wanted, wanted)) == pod(wanted)
    service = {"metadata": {"name": "a"}, "spec": {}}
    assert kept_template(service, service) is service
