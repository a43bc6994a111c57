"""Each way in which a tenant might reach for more than its LLMService gives: another namespace, a host path, a
privileged pod, a ServiceAccount, an image or an argument that is not listed, or words that programs read as commands.

The API server refuses it, the operator does, or it has no effect: one test for each attempt, on the real API server
where that is what decides.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from medley_operator.api.v1alpha1 import API_VERSION, LLMService
from medley_operator.domain.checks.service import CHECKS
from medley_operator.domain.values import labels
from medley_operator.domain.values.snapshot import Manifest, ObjectKey
from medley_operator.domain.values.views import PodTrouble
from medley_operator.logs import JsonFormatter
from medley_operator.metrics.exporter import Exporter
from medley_operator.metrics.queries import series_text
from medley_planner.refusal import Refusal, first_refusal
from tests.contract.apiserver import Api
from tests.golden.deployment_cases import rendered
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.faults import pods_with, serving
from tests.unit.operator.rounds.play import Round, run, settle

pytestmark = pytest.mark.contract

TENANT = "attempting-tenant"
ID = make.LLAMA.removeprefix("hf://")
HOSTILE = 'x"} or vector(1) #\n\x1b[31mERROR forged\u202e'
"""Quotes and braces for PromQL, a line break, an escape sequence and a direction mark."""


@pytest.fixture(scope="module")
def tenant(crds: Api) -> Iterator[Api]:
    """The API server with the tenant's namespace, under Pod Security `restricted`."""
    metadata = {"name": TENANT, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    account = {"name": "default", "namespace": TENANT}
    for kind, about in (("Namespace", metadata), ("ServiceAccount", account)):
        crds.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": kind, "metadata": about}))
    yield crds
    crds.kubectl("delete", "namespace", TENANT, "--wait=false")


def asked(api: Api, spec: dict[str, Any], **metadata: Any) -> tuple[int, str]:
    """(HTTP status, message) of an LLMService with that beside what is needed."""
    whole = {"model": {"uri": make.LLAMA}, **spec}
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "LLMService",
        "metadata": {"name": "tenant"} | metadata,
        "spec": whole,
    }
    path = f"/apis/{API_VERSION}/namespaces/{TENANT}/llmservices?dryRun=All&fieldValidation=Strict"
    status, answer = api.request("POST", path, manifest)
    return status, str(answer.get("message", ""))


def no_such_field(api: Api, spec: dict[str, Any]) -> None:
    status, message = asked(api, spec)
    assert status == 400, message
    assert "unknown field" in message


def refused_by_pod_security(api: Api, **fields: Any) -> None:
    """The level that the golden pods pass refuses a pod that has more."""
    template = rendered("hf-default-plain", namespace=TENANT)["spec"]["template"]
    metadata = {**template["metadata"], "generateName": "tried-", "namespace": TENANT}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] | fields}
    status, answer = api.request("POST", f"/api/v1/namespaces/{TENANT}/pods?dryRun=All&fieldValidation=Strict", pod)
    assert status in (403, 422), answer


def refusal_of(spec: dict[str, Any]) -> Refusal:
    """The operator's answer to a spec that the API server lets in."""
    snapshot = make.snapshot(make.service(spec=spec))
    refusal = first_refusal(CHECKS, make.service_input(snapshot.services[0], snapshot))
    assert isinstance(refusal, Refusal)
    return refusal


def expanded(arguments: list[str], **variables: str) -> list[str]:
    """The arguments as Kubernetes starts them: $(NAME) is the variable's value, $$ is $."""

    def value(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else variables.get(found[1], found[0])

    return [re.sub(r"\$\$|\$\((\w+)\)", value, argument) for argument in arguments]


def children(done: Round) -> list[Manifest]:
    return list(make.carried_out(done.snapshot, done.decision).children.values())


class TestAnotherNamespace:
    def test_a_gateway_that_no_policy_lists(self, tenant: Api) -> None:
        routing = {"routing": {"gatewayRef": {"name": "edge", "namespace": "platform"}}}
        assert asked(tenant, routing)[0] == 201
        snapshot = make.snapshot(make.service(spec=routing), gateways=frozenset({("platform", "edge")}))
        done = run(snapshot)
        assert done.condition("PlanReady").reason == "PolicyDenied"
        assert children(done) == []

    def test_whether_a_gateway_is_there(self) -> None:
        """Names of other namespaces are not told to who may not use them."""
        routing = {"routing": {"gatewayRef": {"name": "guess", "namespace": "platform"}}}
        told = [
            [
                (each.type, each.reason, each.message)
                for each in make.carried_out(done.snapshot, done.decision).services[0].status.conditions
            ]
            for gateways in ({("platform", "guess")}, {("platform", "secret-gateway")})
            for done in [run(make.snapshot(make.service(spec=routing), gateways=frozenset(gateways)))]
        ]
        assert told[0] == told[1]
        assert "secret-gateway" not in str(told)

    @pytest.mark.parametrize("uri", ["pvc://kube-system/models/llama", "pvc://kube-system.models"])
    def test_a_claim_is_a_name_in_ones_own_namespace(self, tenant: Api, uri: str) -> None:
        status, message = asked(tenant, {"model": {"uri": uri, "id": ID}})
        assert status == 201, message
        deployment = rendered("pvc-default-plain", namespace=TENANT)
        assert deployment["metadata"]["namespace"] == TENANT
        claims = [each for each in deployment["spec"]["template"]["spec"]["volumes"] if "persistentVolumeClaim" in each]
        assert [set(each["persistentVolumeClaim"]) for each in claims] == [{"claimName", "readOnly"}]

    def test_a_namespace_beside_the_claim(self, tenant: Api) -> None:
        no_such_field(tenant, {"model": {"uri": "pvc://models", "id": ID, "namespace": "kube-system"}})

    def test_a_token_of_another_namespace(self, tenant: Api) -> None:
        no_such_field(
            tenant, {"model": {"uri": make.LLAMA, "tokenSecretRef": {"name": "hf", "namespace": "kube-system"}}}
        )

    def test_credentials_of_another_namespace(self, tenant: Api) -> None:
        reference = {"name": "a", "namespace": "b"}
        no_such_field(tenant, {"model": {"uri": "s3://bucket/a", "id": ID, "credentialsSecretRef": reference}})

    def test_a_cache_claim(self, tenant: Api) -> None:
        no_such_field(tenant, {"cache": {"persistentVolumeClaim": {"claimName": "theirs"}}})

    def test_children_that_name_an_owner_of_another_namespace(self) -> None:
        """A Deployment with another tenant's uid and "Ready" in its status counts for nobody."""
        alone = settle(make.snapshot(make.service()))
        key, forged = alone.child("Deployment", "l4")
        forged["metadata"] |= {"namespace": "evil", "uid": "uid-of-the-forged"}
        forged["spec"]["replicas"] = 0
        children = {**alone.snapshot.children, ObjectKey("Deployment", "evil", key.name): forged}
        beside = run(replace(alone.snapshot, children=children), alone.memory)
        assert not beside.decision.applies
        assert not beside.decision.deletes


class TestHostPath:
    @pytest.mark.parametrize(
        "uri",
        [
            *("file:///etc/shadow", "/etc/shadow", "hostPath://etc", "hostpath:///var/lib/kubelet", "hf://../../etc"),
            *("pvc://models/../../../var/lib/kubelet", "pvc://models//etc", "pvc://models/./../etc", "pvc://../etc"),
            *("oci://../../etc", "s3://bucket/../../etc", "pvc://models/$(HOME)"),
        ],
    )
    def test_by_the_model(self, tenant: Api, uri: str) -> None:
        status, message = asked(tenant, {"model": {"uri": uri, "id": ID}})
        assert status == 422
        assert "spec.model.uri" in message

    def test_by_the_cache(self, tenant: Api) -> None:
        no_such_field(tenant, {"cache": {"hostPath": {"path": "/"}}})

    def test_by_a_volume(self, tenant: Api) -> None:
        no_such_field(tenant, {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]})

    def test_pod_security_would_see_it(self, tenant: Api) -> None:
        refused_by_pod_security(tenant, volumes=[{"name": "root", "hostPath": {"path": "/"}}])


class TestPrivilege:
    def test_by_a_pod_template(self, tenant: Api) -> None:
        no_such_field(tenant, {"podTemplate": {"spec": {"hostPID": True}}})

    @pytest.mark.parametrize("at", [(), ("runtime",)], ids=["spec", "spec.runtime"])
    def test_by_a_security_context(self, tenant: Api, at: tuple[str, ...]) -> None:
        asked_for: dict[str, Any] = {"securityContext": {"privileged": True, "runAsUser": 0}}
        no_such_field(tenant, {at[0]: asked_for} if at else asked_for)

    @pytest.mark.parametrize("name", ["hostNetwork", "hostPID", "hostIPC"])
    def test_by_the_hosts_namespaces(self, tenant: Api, name: str) -> None:
        no_such_field(tenant, {"runtime": {name: True}})
        refused_by_pod_security(tenant, **{name: True})

    def test_pod_security_would_see_root(self, tenant: Api) -> None:
        refused_by_pod_security(tenant, securityContext={"runAsUser": 0})

    def test_by_a_higher_priority(self) -> None:
        done = run(make.snapshot(make.service(spec={"priority": "High"})))
        assert done.condition("WithinPolicy").reason == "Clamped"
        for child in done.applied("Deployment").values():
            assert "priorityClassName" not in child["spec"]["template"]["spec"]

    def test_by_a_priority_class(self, tenant: Api) -> None:
        no_such_field(tenant, {"runtime": {"priorityClassName": "system-node-critical"}})

    def test_by_writing_its_own_status(self, tenant: Api) -> None:
        """Statuses are the operator's; the roles for people give no right on them (tests/contract/test_chart.py)."""
        path = f"/apis/{API_VERSION}/namespaces/{TENANT}/llmservices"
        body = {"apiVersion": API_VERSION, "kind": "LLMService", "metadata": {"name": "status"}}
        spec = {"model": {"uri": make.LLAMA}}
        status, answer = tenant.request("POST", path, body | {"spec": spec, "status": {"desiredReplicas": 99}})
        assert status == 201, answer
        assert "status" not in answer
        tenant.request("DELETE", f"{path}/status")


class TestServiceAccount:
    @pytest.mark.parametrize("at", [(), ("runtime",)], ids=["spec", "spec.runtime"])
    def test_of_another(self, tenant: Api, at: tuple[str, ...]) -> None:
        asked_for: dict[str, Any] = {"serviceAccountName": "admin"}
        no_such_field(tenant, {at[0]: asked_for} if at else asked_for)

    def test_the_engine_gets_no_token(self) -> None:
        pod = rendered("hf-default-plain", namespace=TENANT)["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False


class TestImage:
    @pytest.mark.parametrize("at", [(), ("runtime",)], ids=["spec", "spec.runtime"])
    def test_of_ones_own(self, tenant: Api, at: tuple[str, ...]) -> None:
        asked_for: dict[str, Any] = {"image": "evil/miner:1"}
        no_such_field(tenant, {at[0]: asked_for} if at else asked_for)

    def test_by_an_edit_of_the_deployment(self) -> None:
        steady = settle(make.snapshot(make.service()))
        key, child = steady.child("Deployment", "l4")
        child["spec"]["template"]["spec"]["containers"][0]["image"] = "evil/miner:1"
        (mended,) = run(steady.with_child(key, child), steady.memory).applied("Deployment").values()
        assert mended["spec"]["template"]["spec"]["containers"][0]["image"] == make.profile().spec.image

    def test_variables_that_load_code(self, tenant: Api) -> None:
        no_such_field(tenant, {"env": [{"name": "LD_PRELOAD", "value": "/model/evil.so"}]})


class TestArgument:
    @pytest.mark.parametrize("argument", ["--trust-remote-code", "--port=9", "--model=/etc", "--middleware=os.system"])
    def test_that_the_profile_does_not_list(self, tenant: Api, argument: str) -> None:
        status, message = asked(tenant, {"runtime": {"args": [argument]}})
        assert status == 201, message
        assert refusal_of({"runtime": {"args": [argument]}}).reason == "ArgumentNotAllowed"

    @pytest.mark.parametrize("argument", ["--enable-prefix-caching --port=9", "--a\n--port=9", "-p", "port"])
    def test_that_is_more_than_one_flag(self, tenant: Api, argument: str) -> None:
        status, message = asked(tenant, {"runtime": {"args": [argument]}})
        assert status == 422
        assert "spec.runtime.args" in message

    @pytest.mark.parametrize("value", ["$(PLATFORM_KEY)", "$$(PLATFORM_KEY)", "$$$(PLATFORM_KEY)", "a$b$"])
    def test_a_listed_one_that_names_a_variable_of_the_platform(self, value: str) -> None:
        """Kubernetes would put the value of the variable in its place, and the engine shows its arguments."""
        spec = {"runtime": {"args": [f"--enable-prefix-caching={value}"]}}
        profile = make.profile(args=["--seed=$(SEED)"])
        (child,) = run(make.snapshot(make.service(spec=spec), profiles=[profile])).applied("Deployment").values()
        started = expanded(child["spec"]["template"]["spec"]["containers"][0]["args"], PLATFORM_KEY="s3cret", SEED="7")
        assert started[-2:] == ["--seed=7", f"--enable-prefix-caching={value}"]


class TestWords:
    """What a tenant names must not be read as a command by what others use."""

    @pytest.mark.parametrize("name", [HOSTILE, 'a"b', "a\nb", "a{b}", "A", "$(A)"])
    def test_the_name_of_a_service(self, tenant: Api, name: str) -> None:
        assert asked(tenant, {}, name=name)[0] == 422

    @pytest.mark.parametrize("name", [HOSTILE, 'a"b', "a\nb", "a{b}", "a\n", "$(A)"])
    def test_the_name_of_a_model(self, tenant: Api, name: str) -> None:
        status, message = asked(tenant, {"model": {"uri": make.LLAMA, "name": name}})
        assert status == 422
        assert "spec.model.name" in message

    @pytest.mark.parametrize("name", [HOSTILE, 'a"b', "a\nb", "a@b"])
    def test_the_name_of_a_variant(self, tenant: Api, name: str) -> None:
        status, message = asked(tenant, {"variants": [{"poolRef": "l4", "name": name}]})
        assert status == 422
        assert "spec.variants" in message

    def test_labels_of_the_service_reach_no_child(self) -> None:
        own = make.service()
        forged = {labels.SERVICE: "victim", labels.POOL: "other", "kueue.x-k8s.io/queue-name": "theirs"}
        service = LLMService.model_validate(
            own.model_dump(by_alias=True) | {"metadata": {**own.metadata.model_dump(by_alias=True), "labels": forged}}
        )
        for child in children(run(make.snapshot(service))):
            assert child["metadata"]["labels"][labels.SERVICE] == "llama"
            assert "kueue.x-k8s.io/queue-name" not in child["metadata"]["labels"]

    def test_a_query_of_prometheus(self) -> None:
        """Names come from the API server, which refuses these; the query would hold them all the same."""
        assert series_text("up", namespace=HOSTILE, service="a\\") == (
            'up{namespace="x\\"} or vector(1) #\\n\x1b[31mERROR forged\u202e",medley_dev_service="a\\\\"}'
        )

    def test_a_label_of_a_metric(self) -> None:
        exporter = Exporter()
        exporter.withheld(kind=HOSTILE)
        text = generate_latest(exporter.registry).decode()
        assert len([line for line in text.splitlines() if "vector(1)" in line or "ERROR forged" in line]) == 2
        read = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        assert HOSTILE in [sample.labels.get("kind") for sample in read]

    def test_a_line_of_the_log(self) -> None:
        record = logging.makeLogRecord({"msg": "applied", "object": HOSTILE, "name": "medley_operator.fleet.publish"})
        line = JsonFormatter().format(record)
        assert len(line.splitlines()) == 1
        assert line.isascii()
        assert "\x1b" not in line
        assert json.loads(line)["object"] == HOSTILE

    def test_a_condition_that_repeats_what_a_pod_says(self) -> None:
        earlier = serving()
        see = pods_with(PodTrouble("CrashLoopBackOff", HOSTILE))
        message = run(see(earlier), earlier.memory, steps=earlier.steps).condition("WorkloadsReady").message
        assert "vector(1)" in message
        assert message.isprintable()

    def test_a_config_that_is_repeated_in_a_condition(self) -> None:
        config = json.dumps({"architectures": [HOSTILE], "model_type": HOSTILE})
        spec = {"model": {"uri": "hf://own/model", "configJson": config}}
        message = run(make.snapshot(make.service(spec=spec))).condition("PlanReady").message
        assert message.isprintable()
