"""A plan equal to the cluster asks for no write, and each change of ours is seen."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from medley_operator.domain.engine.deployment import DeploymentInput, render_deployment
from medley_operator.domain.rollout.diff import differences
from medley_operator.domain.routing.httproute import render_http_route
from medley_operator.domain.routing.service import render_common_service, render_variant_service
from medley_operator.domain.values.snapshot import Manifest
from tests.unit.operator import factories as make


def first_difference(desired: Manifest, observed: Manifest) -> str | None:
    """Path of the first field that is not as we want it; None where nothing needs to be applied."""
    return next((found.path for found in differences(desired, observed)), None)


def deployment() -> Manifest:
    return render_deployment(
        DeploymentInput(
            service=make.service(spec={"model": {"uri": make.LLAMA, "tokenSecretRef": {"name": "hf"}}}),
            profile=make.profile(),
            pool=make.pool(tolerations=[{"key": "gpu"}, {"key": "team", "operator": "Equal", "value": "ml"}]),
            variant="l4",
            layout="abcdefgh",
            gpus_per_replica=2,
            engine_flags=(("--tensor-parallel-size", "2"),),
            replicas=3,
            surge=True,
        )
    )


@pytest.mark.parametrize(
    "manifest",
    [
        deployment(),
        render_common_service(make.service()),
        render_variant_service(make.service(), variant="l4", layout="abcdefgh"),
        render_http_route(make.service(), gateway=(make.NAMESPACE, "inference"), weights={"l4": 400, "h100": 600}),
    ],
    ids=["deployment", "common", "variant", "route"],
)
def test_server_defaults_are_no_difference(manifest: Manifest) -> None:
    assert first_difference(manifest, make.with_defaults(manifest)) is None


def test_quantities_are_compared_by_value() -> None:
    held = make.with_defaults(deployment())
    container = held["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {
        "limits": {"ephemeral-storage": "39936Mi", "nvidia.com/gpu": "2"},
        "requests": {
            "ephemeral-storage": "17Gi",
            "cpu": "8000m",
            "memory": "34359738368",
            "nvidia.com/gpu": "2",
        },
    }
    held["spec"]["template"]["spec"]["volumes"][0]["emptyDir"]["sizeLimit"] = "8192Mi"
    assert first_difference(deployment(), held) is None


def _change(path: str, change: Callable[[Manifest], None]) -> tuple[str, Callable[[Manifest], None]]:
    return path, change


@pytest.mark.parametrize(
    ("path", "change"),
    [
        _change("spec.replicas", lambda m: m["spec"].update(replicas=2)),
        _change("metadata.labels.medley.dev/pool", lambda m: m["metadata"]["labels"].pop("medley.dev/pool")),
        _change(
            "spec.template.spec.nodeSelector",
            lambda m: m["spec"]["template"]["spec"]["nodeSelector"].update(zone="b"),
        ),
        _change("spec.template.spec.tolerations", lambda m: m["spec"]["template"]["spec"]["tolerations"].pop()),
        _change(
            "spec.template.spec.containers[main].env[HF_TOKEN]",
            lambda m: m["spec"]["template"]["spec"]["containers"][0]["env"].pop(),
        ),
        _change(
            "spec.template.spec.containers[main].args",
            lambda m: m["spec"]["template"]["spec"]["containers"][0]["args"].__setitem__(1, "--port=1"),
        ),
        _change(
            "spec.template.spec.containers[main].resources.limits.nvidia.com/gpu",
            lambda m: m["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"].update(
                {"nvidia.com/gpu": 1}
            ),
        ),
        _change(
            "spec.template.spec.automountServiceAccountToken",
            lambda m: m["spec"]["template"]["spec"].update(automountServiceAccountToken=True),
        ),
    ],
)
def test_each_drift_is_seen(path: str, change: Callable[[Manifest], None]) -> None:
    held = copy.deepcopy(make.with_defaults(deployment()))
    change(held)
    assert first_difference(deployment(), held) == path


def test_absent_is_equal_to_empty_but_not_to_a_value() -> None:
    assert first_difference({"a": {}, "b": []}, {}) is None
    assert first_difference({"a": {"b": 1}}, {}) == "a"
    assert first_difference({"a": 1}, {"a": True}) == "a"


def pod_of(manifest: Manifest) -> Manifest:
    spec: Manifest = manifest["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize(
    "add",
    [
        lambda pod: pod["containers"][0]["env"].insert(0, {"name": "FOO", "value": "bar"}),
        lambda pod: pod["containers"].insert(0, {"name": "sidecar", "image": "proxy"}),
        lambda pod: pod["tolerations"].insert(0, {"key": "spot", "operator": "Exists"}),
        lambda pod: pod["tolerations"].reverse(),
        lambda pod: pod["volumes"].append({"name": "extra", "emptyDir": {}}),
        lambda pod: pod["containers"][0]["volumeMounts"].insert(0, {"name": "extra", "mountPath": "/extra"}),
        lambda pod: pod["containers"][0]["ports"].append({"containerPort": 9000, "protocol": "TCP"}),
        lambda pod: pod["containers"][0]["resources"]["limits"].update({"memory": "1Gi"}),
        lambda pod: pod.update(hostNetwork=True),
    ],
    ids=["env", "sidecar", "toleration", "order", "volume", "mount", "port", "limit", "host-network"],
)
def test_what_others_add_is_no_difference(add: Callable[[Manifest], None]) -> None:
    """`kubectl set env` and mutating policies made one write each round, for ever."""
    held = copy.deepcopy(make.with_defaults(deployment()))
    add(pod_of(held))
    held["metadata"]["annotations"]["team"] = "a"
    assert first_difference(deployment(), held) is None


def owned(fields: Manifest) -> Manifest:
    held = copy.deepcopy(make.with_defaults(deployment()))
    held["metadata"]["managedFields"] = [
        {"manager": "medley", "operation": "Apply", "fieldsV1": fields},
        {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
    ]
    return held


def test_what_we_set_before_and_not_now_is_a_difference() -> None:
    env: dict[str, dict[str, Manifest]] = {
        "f:env": {'k:{"name":"HF_TOKEN"}': {".": {}, "f:name": {}}, 'k:{"name":"OLD"}': {".": {}, "f:value": {}}}
    }
    containers = {"f:containers": {'k:{"name":"main"}': env}}
    held = owned({"f:spec": {"f:template": {"f:spec": containers}}})
    assert first_difference(deployment(), held) == "spec.template.spec.containers[main].env[OLD]"
    del env["f:env"]['k:{"name":"OLD"}']
    assert first_difference(deployment(), held) is None
    held = owned({"f:metadata": {"f:annotations": {"f:old": {}}}})
    assert first_difference(deployment(), held) == "metadata.annotations.old"


def test_a_difference_names_who_else_manages_the_field() -> None:
    held = owned({})
    held["spec"]["replicas"] = 9
    (found,) = differences(deployment(), held)
    assert (found.path, found.manager, found.wanted) == ("spec.replicas", "kubectl-edit", "3")
