"""The objects of mode InferencePool, and what keeps requests from arriving by them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from medley_operator.domain.routing.inference_pool import (
    CONFIG_KEY,
    InferencePoolRouter,
    render_inference_pool,
    render_picker_configuration,
)
from medley_operator.domain.routing.router import RoutedService
from medley_operator.domain.values.candidates import Disposition, ServiceCandidate
from medley_operator.domain.values.labels import PROMPT_RANGE, key_of
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from tests.unit.operator import factories as make

ROUTING = {"mode": "InferencePool", "gatewayRef": {"name": "inference"}}
ROUTER = InferencePoolRouter()
GATEWAYS = frozenset({(make.NAMESPACE, "inference")})


def routed(*own: Manifest, unlisted: dict[str, str] | None = None, **routing: Any) -> RoutedService:
    service = make.service(spec={"routing": {**ROUTING, **routing}})
    children = {key_of(manifest): manifest for manifest in own}
    candidate = ServiceCandidate(service, Disposition.PLANNED)
    return RoutedService(candidate, {}, children, gateways=GATEWAYS, unlisted=unlisted or {})


def reported(manifest: Manifest, **conditions: tuple[str, str]) -> Manifest:
    """With a report of the Gateway's controller: status and reason by condition."""
    found = [
        {"type": type_, "status": status, "reason": reason, "message": f"about {type_}"}
        for type_, (status, reason) in conditions.items()
    ]
    return {**manifest, "status": {"parents": [{"parentRef": {"name": "inference"}, "conditions": found}]}}


def objects(**routing: Any) -> tuple[Manifest, Manifest, Manifest]:
    """Configuration, pool and route."""
    config, pool, route = ROUTER.wanted(routed(**routing), None, ())
    return config, pool, route


GOOD = {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}


def test_the_pool_holds_all_pods_of_the_service_and_the_route_leads_to_it() -> None:
    _, pool, route = objects()
    assert pool["apiVersion"] == "inference.networking.k8s.io/v1"
    assert pool["spec"]["selector"] == {
        "matchLabels": {"app.kubernetes.io/managed-by": "medley", "medley.dev/service": "llama"}
    }
    assert pool["spec"]["targetPorts"] == [{"number": 8000}]
    (rule,) = route["spec"]["rules"]
    assert rule["backendRefs"] == [
        {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "llama", "weight": 1}
    ]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/demo/llama"}}]


def test_the_picker_is_the_one_of_the_spec_or_that_of_llm_ds_chart() -> None:
    by_chart = render_inference_pool(make.service(spec={"routing": ROUTING}))["spec"]["endpointPickerRef"]
    assert by_chart == {
        "group": "", "kind": "Service", "name": "llama-epp", "port": {"number": 9002}, "failureMode": "FailOpen",
    }  # fmt: skip
    named = {"name": "picker", "port": 9100, "failureMode": "FailClose"}
    _, pool, _ = objects(endpointPickerRef=named)
    found = pool["spec"]["endpointPickerRef"]
    assert (found["name"], found["port"], found["failureMode"]) == ("picker", {"number": 9100}, "FailClose")


def test_the_pickers_configuration_reads_the_label_of_our_pods_and_names_only_plugins_that_it_makes() -> None:
    config = yaml.safe_load(render_picker_configuration(make.service())["data"][CONFIG_KEY])
    assert (config["apiVersion"], config["kind"]) == ("llm-d.ai/v1alpha1", "EndpointPickerConfig")
    plugins = {plugin["type"]: plugin.get("parameters", {}) for plugin in config["plugins"]}
    assert plugins["context-length-aware"] == {"label": PROMPT_RANGE, "enableFiltering": False}
    (profile,) = config["schedulingProfiles"]
    assert {plugin["pluginRef"] for plugin in profile["plugins"]} == set(plugins)


@pytest.mark.parametrize("kind", ["InferencePool", "ConfigMap"])
def test_nothing_is_made_or_waited_for_where_a_kind_cannot_be_listed_and_the_way_out_is_shown(kind: str) -> None:
    given = routed(unlisted={kind: "the cluster does not have it"})
    assert ROUTER.wanted(given, None, ()) == ()
    assert ROUTER.asked(given, None) is None
    problem = ROUTER.problem(given, planned=True)
    assert problem is not None
    assert problem.reason == "InferencePoolMissing"
    for words in ("the cluster does not have it", "Install the CRDs", "spec.routing.mode to HTTPRoute", "Service demo"):
        assert words in problem.message


@pytest.mark.parametrize(
    ("pool", "reason", "words"),
    [
        ({"Accepted": ("False", "NotSupportedByParent")}, "PoolNotAccepted", ["NotSupportedByParent", "HTTPRoute"]),
        ({"Accepted": ("Unknown", "Pending")}, "PoolNotAccepted", ["not accepted yet"]),
        (
            {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("False", "InvalidExtensionRef")},
            "PickerMissing",
            ["InvalidExtensionRef", "Service demo/llama-epp, port 9002", "spec.routing.endpointPickerRef"],
        ),
        (
            {"Accepted": ("False", "EndpointPickerRefMissing"), "ResolvedRefs": ("False", "InvalidExtensionRef")},
            "PickerMissing",
            ["install an endpoint picker"],
        ),
        ({}, "PoolNotAccepted", ["not accepted yet"]),
    ],
)
def test_a_pool_that_the_gateway_does_not_take(pool: dict[str, tuple[str, str]], reason: str, words: list[str]) -> None:
    _, made, route = objects()
    problem = ROUTER.problem(routed(reported(made, **pool), reported(route, **GOOD)), planned=True)
    assert problem is not None
    assert problem.reason == reason
    assert all(word in problem.message for word in ['InferencePool demo/llama at Gateway "inference"', *words])


def test_a_pool_that_no_controller_speaks_of_is_not_taken_for_one_that_works() -> None:
    _, pool, route = objects()
    silent = ROUTER.problem(routed(pool, reported(route, **GOOD)), planned=True)
    assert silent is not None
    assert silent.reason == "PoolNotAccepted"
    refused = reported(route, Accepted=("True", "Accepted"), ResolvedRefs=("False", "InvalidKind"))
    by_route = ROUTER.problem(routed(pool, refused), planned=True)
    assert by_route is not None
    assert (by_route.reason, "InvalidKind" in by_route.message) == ("RouteNotAccepted", True)
    assert ROUTER.problem(routed(reported(pool, **GOOD), reported(route, **GOOD)), planned=True) is None


def test_ready_replicas_wait_for_the_route_to_lead_to_the_pool_alone() -> None:
    _, pool, route = objects()
    given = routed(pool, reported(route, Accepted=("True", "Accepted")))
    assert ROUTER.asked(given, None) == ROUTER.accepted(given) == {"InferencePool/llama": 1}
    weighted = {**route, "spec": {**route["spec"], "rules": [{"backendRefs": [{"name": "llama", "weight": 1}]}]}}
    before = routed(pool, reported(weighted, Accepted=("True", "Accepted")))
    assert ROUTER.accepted(before) == {"Service/llama": 1}
    assert ROUTER.accepted(routed(pool, route)) is None
    assert ObjectKey("InferencePool", make.NAMESPACE, "llama") in given.own
