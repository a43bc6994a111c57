"""Whole rounds under MedleyPolicies: what tenants ask for, and what becomes of it and of their neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from medley_operator.api.v1alpha1 import LLMService
from medley_operator.domain.values.bounds import bounds_of
from medley_operator.domain.values.candidates import Disposition, ServiceCandidate
from medley_operator.domain.values.service_key import ServiceKey
from medley_operator.domain.values.snapshot import ObjectKey, Observation, Snapshot
from medley_operator.domain.variants.choose import choose_variants
from tests.unit.operator import factories as make
from tests.unit.operator.rounds.play import Round, changed, follow, run, settle

LIVE = {"workload": {"source": "Prometheus"}}
ROUTED = {"routing": {"gatewayRef": {"name": "edge", "namespace": "platform"}}}
EDGE = {"namespace": "platform", "name": "edge"}


def of(namespace: str, name: str, **spec: Any) -> LLMService:
    return make.service(name, namespace=namespace, spec=spec)


def load(rate_rps: float) -> dict[str, Any]:
    static = {"requestsPerSecond": str(rate_rps), "promptTokens": 500, "generationTokens": 150}
    return {"workload": {"source": "Static", "static": static}}


def gpus(done: Round, namespace: str = make.NAMESPACE) -> int:
    """GPUs of all that is planned in the namespace."""
    assert done.prepared.problem is not None
    size = {v.name: v.gpus_per_replica for each in done.prepared.problem.services for v in each.variants}
    return sum(
        size[row["name"]] * row["desired"]
        for write in done.decision.statuses
        if write.key.kind == "LLMService" and write.key.namespace == namespace
        for row in write.status["variants"]
    )


def cost_per_hour(done: Round) -> float:
    """Cost of all that is planned."""
    statuses = (write.status for write in done.decision.statuses if write.key.kind == "LLMService")
    return sum(float(row["costPerHour"]) for status in statuses for row in status["variants"])


def found(done: Round, namespace: str, name: str) -> ServiceCandidate:
    candidate = done.prepared.candidate(ServiceKey(namespace, name))
    assert candidate is not None
    return candidate


def live(snapshot: Snapshot, rates: Mapping[tuple[str, str], float]) -> Snapshot:
    seen: dict[ServiceKey, Observation] = {ServiceKey(*key): make.found(rate) for key, rate in rates.items()}
    return replace(snapshot, observations=seen)


class TestPriority:
    """A priority above the ceiling is planned at the ceiling, and the condition says so."""

    def two_tenants(self, *, policies: Any = ()) -> Round:
        """Both on one small pool, each with half of it."""
        services = (of("calm", "chat", **LIVE), of("loud", "bot", priority="High", **LIVE))
        snapshot = make.snapshot(*services, pools=[make.pool(nodes=3)], policies=policies)
        done = run(live(snapshot, {("calm", "chat"): 9.0, ("loud", "bot"): 9.0}))
        for _ in range(4):
            done = follow(done)
        for namespace, name in (("calm", "chat"), ("loud", "bot")):
            assert found(done, namespace, name).disposition is Disposition.PLANNED
            assert done.condition("PlanReady", name).status == "True"
        return done

    def hundredfold(self, before: Round) -> Round:
        after = make.carried_out(before.snapshot, before.decision)
        burst = live(after, {("calm", "chat"): 9.0, ("loud", "bot"): 900.0})
        return run(burst, before.memory, now=make.LATER, steps=before.steps, at_seconds=before.at_seconds + 30.0)

    def planned(self, done: Round, namespace: str, name: str) -> int:
        """Replicas of its plan."""
        services = make.carried_out(done.snapshot, done.decision).services
        (status,) = (
            each.status for each in services if (each.metadata.namespace, each.metadata.name) == (namespace, name)
        )
        return status.desired_replicas

    def test_one_window_at_a_hundredfold_with_high_priority_takes_nothing_of_others_without_the_right(self) -> None:
        before = self.two_tenants()
        had = self.planned(before, "calm", "chat")
        assert had > 1
        after = self.hundredfold(before)
        assert self.planned(after, "calm", "chat") == had
        assert found(after, "loud", "bot").bounds.policies == ()
        told = after.condition("WithinPolicy", "bot")
        assert (told.status, told.reason) == ("False", "Clamped")
        assert "spec.priority High is planned as Normal" in told.message
        assert "the default where no MedleyPolicy sets spec.limits.maxPriority" in told.message

    def test_with_the_right_to_high_it_goes_first(self) -> None:
        before = self.two_tenants(policies=[make.policy(maxPriority="High")])
        had = self.planned(before, "calm", "chat")
        after = self.hundredfold(before)
        assert self.planned(after, "calm", "chat") < had
        with pytest.raises(StopIteration):
            after.condition("WithinPolicy", "bot")

    def test_a_lower_ceiling_lets_others_go_first(self) -> None:
        done = run(make.snapshot(make.service(), policies=[make.policy("batch", maxPriority="Low")]))
        assert done.prepared.problem is not None
        assert done.prepared.problem.services[0].priority == "Low"
        told = done.condition("WithinPolicy")
        assert 'spec.priority Normal is planned as Low (MedleyPolicy "batch" spec.limits.maxPriority)' in told.message


class TestQuotas:
    """What all services of a namespace take together holds in each plan."""

    def both(self, *policies: Any, namespace: str = make.NAMESPACE) -> Snapshot:
        services = (of(namespace, "a", **load(40)), of(namespace, "b", **load(40)))
        return make.snapshot(*services, policies=policies)

    def test_gpus_hold_over_two_services_and_the_policy_is_named(self) -> None:
        free = run(self.both())
        most = gpus(free) - 1
        done = run(self.both(make.policy("team", maxGpus=most)))
        assert gpus(done) <= most
        short = [name for name in ("a", "b") if done.condition("PlanReady", name).reason == "Partial"]
        assert short
        for name in short:
            message = done.condition("PlanReady", name).message
            assert "Quota: namespace demo" in message
            assert f'namespace demo may take {most} GPUs (MedleyPolicy "team" spec.limits.maxGpus)' in message
            assert done.condition("CapacityAvailable", name).reason == "QuotaReached"

    def test_money_holds_over_two_services(self) -> None:
        free = cost_per_hour(run(self.both()))
        done = run(self.both(make.policy("team", maxCostPerHour=f"{0.7 * free:.2f}")))
        assert 0 < cost_per_hour(done) <= 0.7 * free + 0.01
        assert {done.condition("CapacityAvailable", name).reason for name in ("a", "b")} >= {"QuotaReached"}

    def test_each_namespace_has_a_quota_of_its_own(self) -> None:
        services = (of("one", "a", **load(40)), of("two", "b", **load(40)))
        free = run(make.snapshot(*services))
        most = max(gpus(free, "one"), gpus(free, "two"))
        done = run(make.snapshot(*services, policies=[make.policy(maxGpus=most)]))
        assert (gpus(done, "one"), gpus(done, "two")) == (gpus(free, "one"), gpus(free, "two"))

    def test_what_is_not_planned_draws_from_the_quota_first(self) -> None:
        """A service that is held keeps its last plan; the other gets what is left."""
        services = (of(make.NAMESPACE, "a", **LIVE), of(make.NAMESPACE, "b", **load(40)))
        first = run(make.snapshot(*services, observations={"a": make.found(40.0)}))
        kept = sum(found(follow(first, observations={"a": make.found(40.0)}), "demo", "a").last_replicas.values())
        after = replace(make.carried_out(first.snapshot, first.decision), observations={})
        after = replace(after, observations={ServiceKey("demo", "a"): make.lost()}, policies=(make.policy(maxGpus=6),))
        done = run(after, first.memory, now=make.LATER)
        assert found(done, "demo", "a").disposition is Disposition.HELD
        assert done.prepared.problem is not None
        (quota,) = done.prepared.problem.quotas
        assert quota.max_gpus == max(0, 6 - kept)

    @pytest.mark.parametrize("mode", ["Approve", "Advisory"])
    def test_what_is_not_acted_on_at_once_draws_from_the_quota_first(self, mode: str) -> None:
        """Plans of services in mode Auto, and those that wait, are two problems over one quota."""
        first = settle(self.both())
        had = {name: sum(found(first, "demo", name).last_replicas.values()) for name in ("a", "b")}
        size = gpus(first) // sum(had.values())
        assert gpus(first) == size * sum(had.values())
        waits = of(make.NAMESPACE, "a", **load(4), scaling={"mode": mode})
        policy = make.policy("team", maxGpus=gpus(first))
        snapshot = changed(first.snapshot, waits, of(make.NAMESPACE, "b", **load(40)), policies=(policy,))
        done = run(snapshot, first.memory, now=make.LATER)
        assert done.prepared.problem is not None
        assert done.prepared.advice is not None
        (acted,), (shown,) = done.prepared.problem.quotas, done.prepared.advice.quotas
        assert (acted.max_gpus, shown.max_gpus) == (size * had["b"], size * had["a"])

    def test_a_quota_holds_beside_a_service_that_the_operator_fails_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The first service of a namespace raises: what policies say of the namespace holds for the others."""
        real = choose_variants

        def choose(service: LLMService, *rest: Any, **named: Any) -> Any:
            if service.metadata.name == "a":
                raise RuntimeError("boom")
            return real(service, *rest, **named)

        monkeypatch.setattr("medley_operator.domain.prepare.choose_variants", choose)
        done = run(self.both(make.policy("team", maxGpus=1)), faulty=True)
        assert done.condition("PlanReady", "a").reason == "InternalError"
        assert done.prepared.problem is not None
        assert [quota.max_gpus for quota in done.prepared.problem.quotas] == [1]
        assert gpus(done) <= 1

    def test_a_quota_does_not_flap(self) -> None:
        settle(self.both(make.policy("team", maxGpus=3)))


class TestServices:
    """The newest services beyond the number are refused; the others go on, and what ran stays."""

    def test_the_newest_are_refused_and_the_others_go_on(self) -> None:
        services = [
            make.service(name, created=f"2026-11-0{day}T00:00:00Z") for name, day in (("a", 3), ("b", 1), ("c", 2))
        ]
        done = run(make.snapshot(*services, policies=[make.policy("few", maxServices=2)]))
        assert {name: done.condition("PlanReady", name).status for name in ("a", "b", "c")} == {
            "a": "False",
            "b": "True",
            "c": "True",
        }
        refused = done.condition("PlanReady", "a")
        assert refused.reason == "PolicyDenied"
        assert 'more than 2 LLMServices (MedleyPolicy "few" spec.limits.maxServices)' in refused.message

    def test_what_runs_of_a_refused_one_stays(self) -> None:
        first = run(make.snapshot(make.service("a"), make.service("b")))
        snapshot = replace(
            make.carried_out(first.snapshot, first.decision), policies=(make.policy("few", maxServices=1),)
        )
        done = run(snapshot, first.memory, now=make.LATER, steps=first.steps)
        assert done.condition("PlanReady", "b").reason == "PolicyDenied"
        assert not done.deleted()
        assert done.status("b")["desiredReplicas"] == first.status("b")["desiredReplicas"]

    def test_without_a_policy_a_namespace_has_two_hundred(self) -> None:
        many = [make.service(f"s{index:03}") for index in range(201)]
        bounds = make.service_input(many[0], make.snapshot(*many)).bounds
        assert bounds.surplus == {"s200"}


class TestLists:
    """What a service names must be in each list of each policy that is for its namespace."""

    def refusal(self, spec: Mapping[str, Any], *policies: Any, **fields: Any) -> str:
        done = run(make.snapshot(make.service(spec=spec), policies=policies, **fields))
        plan = done.condition("PlanReady")
        return plan.message if plan.reason == "PolicyDenied" else ""

    def test_a_gateway_of_another_namespace_needs_a_policy_that_lists_it(self) -> None:
        assert "no MedleyPolicy for this one lists Gateways" in self.refusal(ROUTED)
        other = make.policy("net", gateways=[{"namespace": "platform", "name": "other"}])
        assert 'MedleyPolicy "net" spec.limits.gateways (platform/other)' in self.refusal(ROUTED, other)
        assert not self.refusal(ROUTED, make.policy(gateways=[EDGE]))

    def test_a_route_to_the_platforms_gateway_names_its_namespace_and_is_read_back(self) -> None:
        snapshot = make.snapshot(
            make.service(spec=ROUTED),
            policies=[make.policy(gateways=[EDGE])],
            gateways=frozenset({("platform", "edge")}),
        )
        done = settle(snapshot)
        (route,) = (each for key, each in done.snapshot.children.items() if key.kind == "HTTPRoute")
        assert [(each["name"], each["namespace"]) for each in route["spec"]["parentRefs"]] == [("edge", "platform")]
        (service,) = done.snapshot.services
        assert {each.type: each.reason for each in service.status.conditions}["RoutingReady"] == "Routed"

    def test_a_listener_that_does_not_admit_the_namespace_is_named_with_the_way_out(self) -> None:
        """The policy opens the Gateway, and the Gateway decides as well."""
        snapshot = make.snapshot(
            make.service(spec=ROUTED),
            policies=[make.policy(gateways=[EDGE])],
            gateways=frozenset({("platform", "edge")}),
        )
        steady = settle(snapshot)
        key = ObjectKey("HTTPRoute", make.NAMESPACE, "llama")
        refused = {"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": "by namespace"}
        route = dict(steady.snapshot.children[key])
        route["status"] = {"parents": [{"parentRef": route["spec"]["parentRefs"][0], "conditions": [refused]}]}
        told = run(steady.with_child(key, route), steady.memory).condition("RoutingReady")
        assert (told.status, told.reason) == ("False", "RouteNotAccepted")
        for words in ('Gateway "platform/edge"', "NotAllowedByListeners: by namespace", "routes of namespace demo",
                      "allowedRoutes.namespaces"):  # fmt: skip
            assert words in told.message

    def test_a_gateway_of_the_same_name_in_its_own_namespace_is_another_one(self) -> None:
        snapshot = make.snapshot(
            make.service(spec=ROUTED),
            policies=[make.policy(gateways=[EDGE])],
            gateways=frozenset({(make.NAMESPACE, "edge")}),
        )
        told = run(snapshot).condition("RoutingReady")
        assert told.reason == "GatewayNotFound"
        assert "namespace platform has no such Gateway" in told.message

    def test_a_model_of_another_source_is_refused_by_whole_parts_of_its_path(self) -> None:
        assert not self.refusal({}, make.policy(modelSources=["hf://meta-llama/"]))
        assert not self.refusal({}, make.policy(modelSources=["hf://other", "hf://meta-llama"]))
        message = self.refusal({}, make.policy("models", modelSources=["hf://meta", "hf://org/"]))
        assert f'spec.model.uri "{make.LLAMA}"' in message
        assert 'MedleyPolicy "models" spec.limits.modelSources allows (hf://meta, hf://org/)' in message

    def test_a_window_is_one_of_those_allowed(self) -> None:
        window = {"workload": {"source": "Prometheus", "window": "60s"}}
        seen = {"llama": make.found()}
        assert not self.refusal(window, make.policy(allowedWindows=["1m", "5m"]), observations=seen)
        message = self.refusal(window, make.policy("w", allowedWindows=["30s", "5m"]), observations=seen)
        assert 'spec.workload.window "60s"' in message
        assert "(30s, 5m)" in message

    def test_replicas_are_planned_at_the_ceiling_and_minima_above_it_are_refused(self) -> None:
        policy = make.policy("small", maxReplicas=2)
        done = run(make.snapshot(make.service(spec=load(400)), policies=[policy]))
        assert sum(done.replicas().values()) <= 2
        assert "spec.scaling.maxReplicas 64 is planned as 2" in done.condition("WithinPolicy").message
        message = self.refusal({"scaling": {"minReplicas": 3}}, policy)
        assert "spec.scaling.minReplicas is 3, above the 2 replicas" in message
        assert 'MedleyPolicy "small" spec.limits.maxReplicas' in message


class TestOverlaps:
    """All policies that are for a namespace hold at once, the strictest of each field."""

    def test_the_strictest_of_each_field_counts(self) -> None:
        policies = [
            make.policy("all", maxPriority="High", maxGpus=8, maxReplicas=10, modelSources=["hf://meta-llama"]),
            make.policy("team", labels={"team": "a"}, maxPriority="Normal", maxGpus=16, maxCostPerHour="20"),
            make.policy("other", labels={"team": "b"}, maxGpus=1),
        ]
        snapshot = make.snapshot(make.service(), policies=policies, namespaces={make.NAMESPACE: {"team": "a"}})
        bounds = make.service_input(snapshot.services[0], snapshot).bounds
        assert (bounds.max_priority.value, bounds.max_priority.policy) == ("Normal", "team")
        assert bounds.max_gpus is not None
        assert (bounds.max_gpus.value, bounds.max_gpus.policy) == (8, "all")
        assert bounds.max_cost_per_hour is not None
        assert (bounds.max_cost_per_hour.value, bounds.max_cost_per_hour.policy) == (20.0, "team")
        assert [listed.policy for listed in bounds.policies] == ["all", "team"]

    def test_a_gateway_must_be_in_every_list(self) -> None:
        policies = [make.policy("a", gateways=[EDGE]), make.policy("b", gateways=[{"namespace": "p", "name": "x"}])]
        done = run(make.snapshot(make.service(spec=ROUTED), policies=policies))
        assert 'MedleyPolicy "b"' in done.condition("PlanReady").message

    def test_the_status_says_how_many_it_is_for(self) -> None:
        services = (of("one", "a"), of("one", "b"), of("two", "c"))
        policy = make.policy("team", labels={"kubernetes.io/metadata.name": "one"})
        done = run(make.snapshot(*services, policies=[policy]))
        (status,) = (write.status for write in done.decision.statuses if write.key.kind == "MedleyPolicy")
        assert (status["namespaces"], status["services"]) == (1, 2)
        assert [(each["type"], each["reason"]) for each in status["conditions"]] == [("Accepted", "Accepted")]
        assert settle(done.snapshot).decision.statuses == ()


class TestUnknown:
    """What cannot be known opens nothing, and takes nothing that runs."""

    def test_bounds_that_raise_refuse_the_services_of_their_namespace_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = bounds_of

        def bounds(namespace: str, *rest: Any) -> Any:
            if namespace == "one":
                raise RuntimeError("boom")
            return real(namespace, *rest)

        monkeypatch.setattr("medley_operator.domain.cluster.policies.bounds_of", bounds)
        done = run(make.snapshot(of("one", "a"), of("two", "b")), faulty=True)
        assert done.condition("PlanReady", "a").reason == "InternalError"
        assert "kubectl get namespace one -o yaml" in done.condition("PlanReady", "a").message
        assert done.condition("PlanReady", "b").reason == "Optimal"
        assert [str(fault.about) for fault in done.faults] == ["Namespace one"]

    def test_a_policy_that_does_not_parse_opens_nothing_and_what_runs_stays(self) -> None:
        first = settle(make.snapshot(make.service("a", spec=load(20)), policies=[make.policy(maxGpus=4)]))
        broken = replace(
            first.snapshot,
            policies=(),
            rejected=(make.unreadable("MedleyPolicy", "tenants", "spec.limits.maxGpus is many"),),
        )
        broken = changed(broken, make.service("a", spec=load(200)), make.service("b"))
        done = run(broken, first.memory, now=make.LATER, steps=first.steps)
        for name in ("a", "b"):
            plan = done.condition("PlanReady", name)
            assert (plan.status, plan.reason) == ("False", "PolicyDenied")
            assert 'MedleyPolicy "tenants" cannot be read' in plan.message
            assert "spec.limits.maxGpus is many" in plan.message
        assert not done.applied("Deployment")
        assert not done.deleted()
        (status,) = (write.status for write in done.decision.statuses if write.key.kind == "MedleyPolicy")
        assert [(each["type"], each["reason"]) for each in status["conditions"]] == [("Accepted", "InvalidSpec")]
        healed = run(replace(broken, rejected=(), policies=first.snapshot.policies), first.memory, now=make.LATER)
        assert gpus(healed) <= 4

    def test_labels_that_are_not_known_open_nothing_to_those_they_could_be_about(self) -> None:
        policy = make.policy("team", labels={"team": "a"}, maxGpus=1)
        elsewhere = make.policy("x", labels={"team": "a", "kubernetes.io/metadata.name": "other"}, maxGpus=0)
        done = run(make.snapshot(make.service(), policies=[policy, elsewhere]))
        assert done.condition("PlanReady").reason == "PolicyDenied"
        assert "asks for labels (team) of namespace demo" in done.condition("PlanReady").message
        (status,) = (write.status for write in done.decision.statuses if write.key.name == "team")
        assert status["conditions"][0]["reason"] == "NamespacesUnreadable"
        fine = run(make.snapshot(make.service(), policies=[elsewhere]))
        assert fine.condition("PlanReady").status == "True"
