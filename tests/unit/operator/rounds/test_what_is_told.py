"""Each fault with the conditions that tell it: what is wrong, since when, and what to do; and nothing green that is not
so. A row is the cluster with the fault in it, as the first look after it sees it (`faults`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import httpx
import pytest

from medley_operator.api.v1alpha1 import KINDS, Condition, PriceStatus
from medley_operator.domain import act as acting
from medley_operator.domain import pool_states
from medley_operator.domain.prepare import prepare
from medley_operator.domain.report import platform_status
from medley_operator.domain.report.power_condition import POWER_WITHIN_BUDGET
from medley_operator.domain.speed import profiles
from medley_operator.domain.values import labels
from medley_operator.domain.values.conditions import problem
from medley_operator.domain.values.snapshot import Manifest, MetricsReason, Observation, Snapshot
from medley_operator.domain.values.supply import Supply
from medley_operator.domain.values.views import PodTrouble, Taint
from medley_operator.fleet.observe import NO_PROMETHEUS
from medley_operator.kube.errors import Invalid, KubeError, Withheld
from medley_planner.check import Attained, Checked
from medley_planner.fleet_plan import FleetPlan, PlanFailure, PlanOrFailure
from medley_planner.refusal import Refusal
from tests.unit.operator import factories as make
from tests.unit.operator.documented import documented
from tests.unit.operator.domain.cluster.test_devices import offered
from tests.unit.operator.metrics.fake_prometheus import URL, FakePrometheus, load_elements
from tests.unit.operator.placing import foreign, on, with_nodes, with_pods
from tests.unit.operator.placing import service as placed
from tests.unit.operator.rounds.faults import (
    ON_L4,
    ROUTED,
    SINCE,
    See,
    all_nodes,
    asked,
    autoscaled,
    canary_fails,
    child,
    contended,
    cordoned,
    crowded,
    elastic,
    gated,
    looks,
    moved,
    node_lost,
    nothing,
    observed,
    pods_with,
    pooled,
    prometheus,
    raising,
    refuses_pods,
    resized,
    rollout_stalled,
    scraped,
    serving,
    taken_name,
    with_image,
)
from tests.unit.operator.rounds.play import Refused, Round, concluded, planned, run

LATER = "2026-11-24T12:10:30Z"
SERVICE, POOL, PROFILE, POLICY, MEASURED = "LLMService", "GPUPool", "RuntimeProfile", "MedleyPolicy", "ModelProfile"
GREEN = frozenset({"Serving", "Optimal", "Sufficient", "AllReady", "Routed", "MetricsFound"})
WAYS_OUT = re.compile(
    r"\b(add|approves|ask|bring|change|check|compare|correct|create|delete|ends it|free|give|grant|install|label|let|"
    r"lower|make|mend|name|paste|raise|relax|remove|rename|report|resumes?|see|set|tries again|uncordon|until|use)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Told:
    """A condition that tells the fault: `says` are the object, the value and the way out, as parts of its message."""

    type: str
    status: str
    reason: str
    says: tuple[str, ...]
    kind: str = SERVICE
    name: str = "llama"


@dataclass(frozen=True)
class Fault:
    """`see`: the cluster with the fault, from the round `before` it. `green`: what stays so, and stands rightly."""

    before: Callable[[], Round]
    see: See
    told: tuple[Told, ...]
    green: frozenset[str] = frozenset()
    outcome: Callable[[Round], PlanOrFailure] | None = None
    """Of planning, instead of the planner's."""
    refused: Refused = field(default_factory=dict)
    breaks: Callable[[pytest.MonkeyPatch], None] | None = None
    """Makes this program fail on something."""
    after_seconds: float = 600.0
    """From the round before it."""
    shown: str = ""
    """What `kubectl get llms` shows under Problem."""


def told(type_: str, reason: str, *says: str, status: str = "False", **about: str) -> Told:
    return Told(type_, status, reason, says, **about)


def green(*reasons: str) -> frozenset[str]:
    assert set(reasons) <= GREEN
    return frozenset(reasons)


ALL_BUT_WORKLOADS = green("Optimal", "Sufficient")
RUNS_ON = green("Serving", "Optimal", "Sufficient", "AllReady")
KEPT = green("Serving", "Sufficient", "AllReady", "Routed")


def no_start(reason: str, *says: str, told_as: str = "") -> Fault:
    shown = told_as or reason
    return Fault(
        serving,
        pods_with(PodTrouble(reason, says[0])),
        (
            told("WorkloadsReady", shown, "pod llama-l4", "and 2 more of variant l4", *says),
            told("Ready", "NoReadyReplicas", "0 of 3"),
        ),
        green=green("Sufficient"),
        shown=f"{shown}",
    )


def refused_service(reason: str, *says: str, **fields: Any) -> Fault:
    """A new service that cannot be planned."""
    return Fault(
        nothing,
        asked(**fields),
        (told("PlanReady", reason, *says), told("Ready", "NoPlan", says[0])),
        green("MetricsFound"),
        shown=reason,
    )


def refused_by_the_verifier(earlier: Round) -> PlanOrFailure:
    plan = replace(planned(earlier.snapshot), services=())
    return FleetPlan.of(
        plan, refused={"demo/llama": Refusal("PlanRejected", "the verifier refuses replica 3 of l4; report it")}
    )


def failed(_: Round) -> PlanOrFailure:
    return PlanFailure("SolverTimeout", "no answer within 20 s")


NO_ROOM = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
OTHERS = 'pods "llama-l4" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: 2, limited: 2'
WEBHOOK = 'admission webhook "policy.example.com" denied the request: images must be signed'
NO_BUDGETS = 'poddisruptionbudgets is forbidden: User "medley" cannot list them'
FORBIDDEN = 'nodes is forbidden: User "medley" cannot list resource "nodes"'
REFUSED_ROUTE = [{"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": "no listener"}]


def answers(status: int, text: str = "", **headers: str) -> FakePrometheus:
    return FakePrometheus(override=lambda _kind: httpx.Response(status, text=text, headers=headers))


def down(_kind: str) -> httpx.Response:
    raise httpx.ConnectError("connection refused")


def metrics_lost(fake: FakePrometheus, reason: str, *says: str) -> Fault:
    held = told("PlanReady", "Held", says[0], "Planning resumes when Prometheus has data", status="True")
    return Fault(scraped, prometheus(fake), (told("MetricsAvailable", reason, *says), held), KEPT, shown=reason)


def route(status: dict[str, Any]) -> See:
    return child(labels.HTTP_ROUTE, lambda manifest: manifest.update(status=status))


def routing(see: See, reason: str, *says: str) -> Fault:
    return Fault(serving, see, (told("RoutingReady", reason, *says),), RUNS_ON, shown=reason)


def pool(see: See, reason: str, *says: str, green: frozenset[str] = GREEN, shown: str = "", **about: str) -> Fault:
    """A fault of a pool that takes nothing from the service that runs."""
    given = {"type_": "Ready", "status": "False", "kind": POOL, "name": "l4", **about}
    return Fault(serving, see, (told(given.pop("type_"), reason, *says, **given),), green, shown=shown)


def short(see: See, pool_reason: str, *says: str) -> Fault:
    """A new service that finds no GPU, and what the pool says of it."""
    short_of = told("CapacityAvailable", "StockOut", "req/s have no free GPU", "GPUPool l4", "add nodes to a pool")
    status = "True" if pool_reason == "Accepted" else "False"
    about = told("Ready", pool_reason, *says, status=status, kind=POOL, name="l4")
    return Fault(nothing, see, (short_of, about), green("MetricsFound"), shown="Infeasible,StockOut")


def foreign_pods(earlier: Round) -> Snapshot:
    snapshot = asked(**ON_L4)(earlier)
    return with_pods(snapshot, *(foreign(f"notebook-{n}", f"l4-{n // 4}") for n in range(12)))


def in_mode(mode: str, reason: str, *says: str, shown: str = "NoReadyReplicas", status: str = "True") -> Fault:
    stands = green("Sufficient") if status == "True" else green()
    row = told("PlanReady", reason, *says, status=status)
    return Fault(nothing, asked(scaling={"mode": mode}), (row,), stands, shown=shown)


def not_written(kind: str, type_: str, *, stands: frozenset[str], shown: str, see: See | None = None) -> Fault:
    """The API server refuses each write of the kind: of a new service, or of one that serves."""
    error = Invalid(f"cannot apply {kind} demo/llama: the API server answered 400: {WEBHOOK}")
    row = told(type_, "ApplyFailed", f"{kind} demo/llama", WEBHOOK, "change what refuses it")
    before, looked = (nothing, asked(**ON_L4, **ROUTED)) if see is None else (serving, see)
    return Fault(before, looked, (row,), stands, refused={kind: error}, shown=shown)


def withheld(kind: str) -> KubeError:
    return Withheld(f"{kind} demo/llama is left as it is, because --mode is Advisory; set --mode to Auto to change it")


def beside(other: Any) -> See:
    return lambda earlier: replace(asked(**ON_L4)(earlier), services=(placed(rate="1", **ON_L4), other))


def missed(earlier: Round) -> PlanOrFailure:
    """A plan that, simulated, falls short."""
    attained = {"l4": Attained(0.91, 1.5, 0.08, 0.9)}
    return FleetPlan.of(planned(earlier.snapshot), checked={"demo/llama": Checked(0.91, 95.0, attained)})


def pool_reports(**conditions: str) -> See:
    """What the Gateway's controller says of the InferencePool."""

    def edit(manifest: Manifest) -> None:
        rows = [{"type": type_, "status": status, "reason": "Said"} for type_, status in conditions.items()]
        manifest["status"] = {"parents": [{"parentRef": {"name": "inference"}, "conditions": rows}] if rows else []}

    return child(labels.INFERENCE_POOL, edit)


def by_picker(see: See, reason: str, *says: str) -> Fault:
    return Fault(pooled, see, (told("RoutingReady", reason, *says),), RUNS_ON, shown=reason)


def lost_budgets(earlier: Round) -> Snapshot:
    """Without the right to list PodDisruptionBudgets; the one of the service is gone, as far as anybody can see."""
    snapshot = looks(unreadable={labels.DISRUPTION_BUDGET: NO_BUDGETS})(earlier)
    kept = {key: each for key, each in snapshot.children.items() if key.kind != labels.DISRUPTION_BUDGET}
    return replace(snapshot, children=kept)


def policied(*policies: Any, **fields: Any) -> See:
    return lambda earlier: replace(asked(**ON_L4, **fields)(earlier), policies=policies)


def denied(see: See, *says: str) -> Fault:
    row = told("PlanReady", "PolicyDenied", *says)
    return Fault(nothing, see, (row,), green("MetricsFound"), shown="PolicyDenied")


def fails(kind: str, name: str, module: ModuleType, function: str, type_: str, *, stands: frozenset[str]) -> Fault:
    row = told(type_, "InternalError", "Medley itself failed", "Report it", kind=kind, name=name)

    def breaks(patch: pytest.MonkeyPatch) -> None:
        whole = getattr(module, function)
        patch.setattr(module, function, raising(whole, about={name}) if kind != MEASURED else lambda *_: 1 / 0)

    return Fault(serving, looks(model_profiles=(make.model_profile(),)), (row,), stands, breaks=breaks)


FAULTS: dict[str, Fault] = {
    # writes that the API server refuses
    "Deployments are refused": not_written(
        labels.DEPLOYMENT, "WorkloadsReady", stands=ALL_BUT_WORKLOADS, shown="ApplyFailed,RouteNotAccepted"
    ),
    "Services are refused": not_written(
        labels.CORE_SERVICE, "RoutingReady", stands=ALL_BUT_WORKLOADS, shown="Progressing,ApplyFailed"
    ),
    "routes are refused": not_written(
        labels.HTTP_ROUTE, "RoutingReady", stands=ALL_BUT_WORKLOADS, shown="Progressing,ApplyFailed"
    ),
    "PodDisruptionBudgets are refused": not_written(
        labels.DISRUPTION_BUDGET,
        "WorkloadsReady",
        stands=ALL_BUT_WORKLOADS,
        shown="ApplyFailed,RouteNotAccepted",
    ),
    "a new image is refused": not_written(
        labels.DEPLOYMENT,
        "WorkloadsReady",
        see=looks(profiles=(make.profile(image="vllm/vllm-openai:v0.32.1"),)),
        stands=green("Serving", "Optimal", "Sufficient", "Routed"),
        shown="ApplyFailed",
    ),
    "--mode keeps children back": Fault(
        nothing,
        asked(**ON_L4),
        (
            told(
                "WorkloadsReady",
                "Withheld",
                "PodDisruptionBudget demo/llama",
                "--mode is Advisory",
                "set --mode to Auto",
            ),
            told("RoutingReady", "Withheld", "Service demo/llama", "set --mode to Auto"),
        ),
        ALL_BUT_WORKLOADS,
        refused={kind: withheld(kind) for kind in (labels.DEPLOYMENT, labels.CORE_SERVICE, labels.DISRUPTION_BUDGET)},
        shown="Withheld",
    ),
    # what cannot be seen
    "PodDisruptionBudgets cannot be listed": Fault(
        serving,
        lost_budgets,
        (
            told(
                "ChildrenUnchanged",
                "BudgetsUnreadable",
                *("PodDisruptionBudget", NO_BUDGETS, "grant the operator's ServiceAccount"),
                status="Unknown",
            ),
        ),
        GREEN,
    ),
    "InferencePools cannot be listed": by_picker(
        looks(unreadable={labels.INFERENCE_POOL: "inferencepools is forbidden"}),
        *("InferencePoolMissing", "inferencepools is forbidden", "this version's ClusterRole"),
    ),
    "the cluster has no InferencePools": by_picker(
        looks(lacking=frozenset({labels.INFERENCE_POOL})), "InferencePoolMissing", "Install the CRDs"
    ),
    "no controller reports on the InferencePool": by_picker(
        pool_reports(), "PoolNotAccepted", "InferencePool demo/llama", "check that the Gateway's controller"
    ),
    "the InferencePool is refused": by_picker(
        pool_reports(Accepted="False"), "PoolNotAccepted", "InferencePool demo/llama", "name a Gateway"
    ),
    "the endpoint picker is missing": by_picker(
        pool_reports(Accepted="True", ResolvedRefs="False"), "PickerMissing", "demo/llama-epp", "install an endpoint"
    ),
    "a MedleyPolicy does not parse": Fault(
        serving,
        looks(rejected=(make.unreadable(POLICY, "tenants", "spec.limits.maxGpus is many; set a number"),)),
        (
            told("PlanReady", "PolicyDenied", 'MedleyPolicy "tenants"', "what runs stays", "set a number"),
            told("Accepted", "InvalidSpec", "spec.limits.maxGpus", "set a number", kind=POLICY, name="tenants"),
        ),
        KEPT,
        shown="PolicyDenied",
    ),
    "labels of namespaces are not known": Fault(
        serving,
        looks(policies=(make.policy(labels={"team": "a"}),)),
        (
            told("PlanReady", "PolicyDenied", "asks for labels (team) of namespace demo", "Grant the operator's"),
            told("Accepted", "NamespacesUnreadable", "(team)", status="Unknown", kind=POLICY, name="tenants"),
        ),
        KEPT,
        shown="PolicyDenied",
    ),
    # namespaces
    "the namespace ends": Fault(
        serving,
        looks(ending=frozenset({make.NAMESPACE})),
        (told("PlanReady", "NamespaceEnding", "namespace demo is being deleted", "create the LLMService in another"),),
        KEPT,
        shown="NamespaceEnding",
    ),
    "a service comes into a namespace that ends": Fault(
        nothing,
        lambda earlier: replace(asked(**ON_L4)(earlier), ending=frozenset({make.NAMESPACE})),
        (
            told("PlanReady", "NamespaceEnding", "namespace demo", "create the LLMService in another"),
            told("Ready", "NoPlan", "namespace demo"),
        ),
        shown="NamespaceEnding",
    ),
    # stock, quotas and targets
    "the pool is edited down": Fault(
        serving,
        looks(pools=(make.pool(nodes=0),)),
        (),
        green("Serving", "Optimal", "Sufficient", "AllReady", "Routed"),
    ),
    "no node has room for a whole replica": Fault(
        nothing,
        crowded,
        (
            told("CapacityAvailable", "NodesFull", "no node with room", "GPUPool l4", "raise GPUPool"),
            told("PlanReady", "Infeasible", "Nodes"),
        ),
        green("MetricsFound"),
        shown="Infeasible,NodesFull",
    ),
    "the power budget is used up": Fault(
        nothing,
        lambda earlier: replace(asked(**ON_L4)(earlier), pools=(make.pool(nodes=None, power={"budgetWatts": 80}),)),
        (told("CapacityAvailable", "PowerLimit", "power budget", "GPUPool spec.power.budgetWatts"),),
        shown="Partial,PowerLimit,Progressing",
    ),
    "the money of the policy is spent": Fault(
        nothing,
        policied(make.policy(maxCostPerHour="1")),
        (told("CapacityAvailable", "QuotaReached", 'MedleyPolicy "tenants"', "ask the platform team"),),
        shown="Partial,QuotaReached,Progressing",
    ),
    "the targets are missed in simulation": Fault(
        serving,
        moved,
        (told("SLOAttainable", "PredictedBelowTarget", "only 91", "spec.slo", "Relax the targets"),),
        GREEN,
        outcome=missed,
        shown="PredictedBelowTarget",
    ),
    "too many services for the policy": denied(
        policied(make.policy(maxServices=0)), "more than 0 LLMServices", "ask the platform team"
    ),
    "a window that the policy does not list": denied(
        policied(
            make.policy(allowedWindows=["5m"]),
            workload={"source": "Prometheus", "window": "1m"},
        ),
        'spec.workload.window "1m"',
        "use one of them",
    ),
    "a model that the policy does not list": denied(
        policied(make.policy(modelSources=["s3://models"])), 'spec.model.uri "hf://meta-llama'
    ),
    # nodes and pods
    "all nodes are cordoned under pods that are Ready": Fault(
        cordoned,
        moved,
        (
            told("CapacityAvailable", "NodeLeaving", "Ready pods stand on nodes that are going", "kubectl uncordon"),
            told("Ready", "NoNodes", "l4-0", "kubectl uncordon", kind=POOL, name="l4"),
        ),
        green("Serving", "Optimal", "AllReady", "Routed"),
        shown="NodeLeaving",
    ),
    "a scheduling gate holds pods back": Fault(
        serving,
        gated,
        (
            told("WorkloadsReady", "Progressing", "l4 0/3", "pod llama-l4", "and 2 more", "scheduling gate", "see"),
            told("Ready", "NoReadyReplicas", "0 of 3"),
            told("RoutingReady", "NoReadyReplicas", "no Ready replica"),
        ),
        green("Optimal", "Sufficient"),
        shown="Progressing",
    ),
    "an elastic pool makes a node": Fault(
        elastic,
        pods_with(PodTrouble("Unschedulable", NO_ROOM), waited=100.0),
        (
            told("WorkloadsReady", "Unschedulable", NO_ROOM, "free GPUs in the pool"),
            told("CapacityAvailable", "Unschedulable", NO_ROOM),
        ),
        green("Optimal"),
        shown="Unschedulable",
    ),
    "the kubelet evicts pods": no_start(
        "Evicted",
        "The node was low on resource: ephemeral-storage",
        "see kubectl describe pod",
        told_as="PodNotStarting",
    ),
    # others
    "a VerticalPodAutoscaler resizes pods": Fault(
        serving,
        resized,
        (
            told(
                "ChildrenUnchanged",
                "ConflictingAutoscaler",
                *("VerticalPodAutoscaler demo/mine", "Deployment demo/llama-l4", "updateMode to Off"),
            ),
        ),
        GREEN,
        shown="ConflictingAutoscaler",
    ),
    "others name the node": Fault(
        serving,
        child(labels.DEPLOYMENT, lambda manifest: manifest["spec"]["template"]["spec"].update(nodeName="l4-0")),
        (told("ChildrenUnchanged", "ChangedByOthers", "Deployment demo/llama-l4", "nodeName", "remove it"),),
        GREEN,
        shown="ChangedByOthers",
    ),
    "another service has the same model name": Fault(
        nothing,
        beside(placed("alpaca", rate="1", model={"uri": make.LLAMA, "name": "llama"}, **ON_L4)),
        (told("ModelNameUnique", "SameModelName", 'LLMService "alpaca"', "change one name"),),
        ALL_BUT_WORKLOADS,
        shown="Progressing,SameModelName",
    ),
    # metrics
    "metrics have stopped": Fault(
        scraped,
        observed(make.lost()),
        (
            told("MetricsAvailable", "MetricsStale", "no sample since 61 s"),
            told("PlanReady", "Held", "no sample since 61 s", "Planning resumes", status="True"),
        ),
        KEPT,
        shown="MetricsStale",
    ),
    "no Prometheus is configured": Fault(
        scraped,
        observed(Observation(reason=MetricsReason.UNAVAILABLE, message=NO_PROMETHEUS)),
        (told("MetricsAvailable", "PrometheusUnavailable", "no Prometheus configured", "--prometheus-url"),),
        KEPT,
        shown="PrometheusUnavailable",
    ),
    # Medley itself
    "Medley fails on the service": replace(
        fails(SERVICE, "llama", acting, "child_writes", "PlanReady", stands=green("Serving")), shown="InternalError"
    ),
    "Medley fails on the pool": replace(
        fails(POOL, "l4", pool_states, "pool_state", "Ready", stands=KEPT), shown="InvalidSpec"
    ),
    "Medley fails on the profile": replace(
        fails(PROFILE, "vllm", platform_status, "profile_refusal", "Ready", stands=GREEN), shown=""
    ),
    "Medley fails on the ModelProfile": replace(
        fails(MEASURED, "measured", profiles, "read_profile", "Accepted", stands=GREEN), shown=""
    ),
    # stock
    "foreign pods take the stock": short(foreign_pods, "Accepted", "L4: 0 GPUs", "pods of others hold 12 more"),
    "the device plugin is missing": short(
        all_nodes(allocatable={}),
        *(
            "NoGpus",
            "gpu=l4",
            "has nvidia.com/gpu in status.allocatable",
            "check the device plugin on l4-0, l4-1, l4-2",
        ),
    ),
    "all nodes are cordoned": short(
        all_nodes(cordoned=True), "NoNodes", "gpu=l4", "l4-0, l4-1, l4-2", "kubectl uncordon"
    ),
    "all nodes are not Ready": short(all_nodes(ready=False), "NoNodes", "l4-0", "kubectl describe node"),
    "the pool is empty": short(
        lambda earlier: replace(asked(**ON_L4)(earlier), nodes=()), "NoNodes", "no node matches", "label the nodes"
    ),
    "a taint that the pool does not tolerate": short(
        all_nodes(taints=(Taint("team", "lab", "NoSchedule"),)),
        "TaintNotTolerated",
        "team=lab:NoSchedule",
        "add the toleration",
    ),
    "two pools on the same nodes": pool(
        looks(pools=(make.pool(nodes=None), make.pool("other", nodes=None, nodeSelector={"gpu": "l4"}))),
        *("SelectorsOverlap", 'GPUPool "other"', "gpu=l4", "make the selectors differ"),
        status="True",
        type_="NodesShared",
    ),
    "a pool of an unknown GPU": pool(
        looks(pools=(make.pool(gpu="L44", nodes=None),)),
        "UnknownGpu",
        'spec.gpu "L44"',
        "describe it in a GPUType, or use a known one: L4",
        green=KEPT,
        shown="InvalidSpec",
    ),
    "a pool that no image runs on": Fault(
        serving,
        looks(pools=(make.pool(gpu="MI300X", nodes=None),)),
        (
            told("Ready", "NoImage", "RuntimeProfile vllm", "add one to its spec.images", kind=POOL, name="l4"),
            told("PlanReady", "NoImage", 'GPUPool "l4" has AMD GPUs', "add one to its spec.images"),
        ),
        KEPT,
        shown="NoImage",
    ),
    "a pool without a price": pool(
        looks(pools=(make.pool(price="0", nodes=None),)),
        "InvalidSpec",
        'spec.cost.perHour "0"',
        "set it to the price",
        green=KEPT,
        shown="InvalidSpec",
    ),
    "a pool whose price nobody says": pool(
        looks(pools=(make.pool(cost={}, nodes=None),)),
        "PriceUnknown",
        "nor a price list says a price",
        "set spec.cost.perHour",
        green=KEPT,
        shown="InvalidSpec",
    ),
    "a price that nobody says any more": pool(
        looks(prices={"l4": PriceStatus(per_hour="0.805", source="Karpenter", observed_at="2026-01-01T00:00:00Z")}),
        *("PriceStale", "Karpenter", "plans go on with $0.805", "bring its metric back"),
        type_="PriceKnown",
    ),
    "no right on nodes": pool(
        looks(nodes=(), unreadable={labels.NODE: FORBIDDEN}),
        "NodesUnreadable",
        FORBIDDEN,
        "12 GPUs, as last seen",
        "grant the operator's ServiceAccount list and watch on nodes",
        status="Unknown",
    ),
    "only some namespaces are watched": pool(
        looks(watched=("demo", "lab")),
        *("OnlyWatchedNamespaces", "demo, lab", "count as free", "give Medley nodes of its own"),
        type_="PodsSeen",
    ),
    "one node has no device plugin": pool(
        lambda earlier: with_nodes(moved(earlier), ["l4-2"], allocatable={}),
        *("Accepted", "L4: 8 GPUs", "not every node has nvidia.com/gpu", "check the device plugin on l4-2"),
        status="True",
    ),
    "a driver's GPUs that pods cannot ask for": pool(
        lambda earlier: replace(
            with_nodes(moved(earlier), ["l4-2"], allocatable={}), supply=Supply(slices=(offered("l4-2"),))
        ),
        *("NoDeviceClass", "offer 4 GPUs", "spec.extendedResourceName nvidia.com/gpu", "run the device plugin"),
        type_="DevicesOffered",
    ),
    # nodes under pods that run
    "a node is not Ready": Fault(
        serving,
        node_lost(ready=False),
        (
            told("WorkloadsReady", "NodeNotReady", "pod llama-l4", "node l4-0 is not Ready", "kubectl describe node"),
            told("Ready", "NoReadyReplicas", "0 of 3 replicas are Ready"),
        ),
        green("Optimal", "Sufficient"),
        shown="NodeNotReady",
    ),
    "a node is gone": Fault(
        serving,
        node_lost(),
        (told("WorkloadsReady", "NodeNotReady", "pod llama-l4", "node l4-0 is gone", "delete it"),),
        green("Optimal", "Sufficient"),
        shown="NodeNotReady",
    ),
    "a node is cordoned under pods that are Ready": Fault(
        serving,
        lambda earlier: with_nodes(moved(earlier), ["l4-0"], cordoned=True),
        (),
        green=GREEN - {"MetricsFound"},
        # At the second look, one replica more starts before one on that node ends.
        shown="Progressing",
    ),
    # pods that do not start
    "pods are unschedulable": Fault(
        serving,
        pods_with(PodTrouble("Unschedulable", NO_ROOM)),
        (
            told("WorkloadsReady", "Unschedulable", "and 2 more of variant l4", NO_ROOM, "free GPUs in the pool"),
            told("CapacityAvailable", "Unschedulable", NO_ROOM, "add nodes"),
            told("PlanReady", "Feasible", "replicas of l4 cannot start", "add a GPUPool", status="True"),
            told("Ready", "NoReadyReplicas", "0 of 3 replicas are Ready"),
        ),
        shown="Unschedulable",
    ),
    "ImagePullBackOff": no_start(
        "ImagePullBackOff", 'Back-off pulling image "vllm/x"', "correct RuntimeProfile spec.image"
    ),
    "ErrImagePull": no_start(
        "ErrImagePull", "not found", "correct RuntimeProfile spec.image", told_as="ImagePullBackOff"
    ),
    "CrashLoopBackOff": no_start("CrashLoopBackOff", "back-off 5m0s restarting", "kubectl logs --previous"),
    "OOMKilled": no_start("OOMKilled", "took more memory than its limit", "raise RuntimeProfile spec.resources.memory"),
    "a Secret is missing": no_start("CreateContainerConfigError", 'secret "hf-token" not found', "create the Secret"),
    "the device plugin refuses a pod": no_start(
        "UnexpectedAdmissionError", "Allocate failed", "check the device plugin"
    ),
    "another trouble": no_start(
        "RunContainerError", "no such device", "see kubectl describe pod", told_as="PodNotStarting"
    ),
    "a quota refuses pods": Fault(
        serving,
        child(labels.DEPLOYMENT, refuses_pods(OTHERS)),
        (told("WorkloadsReady", "ReplicaFailure", "Deployment llama-l4", OTHERS, "Raise the quota"),),
        ALL_BUT_WORKLOADS,
        shown="ReplicaFailure",
    ),
    "admission refuses pods": Fault(
        serving,
        child(labels.DEPLOYMENT, refuses_pods(WEBHOOK)),
        (told("WorkloadsReady", "ReplicaFailure", "Deployment llama-l4", WEBHOOK, "change what refuses the pods"),),
        ALL_BUT_WORKLOADS,
        shown="ReplicaFailure",
    ),
    "a rollout is stuck": Fault(
        serving,
        child(labels.DEPLOYMENT, rollout_stalled),
        (told("WorkloadsReady", "RolloutStalled", "Deployment llama-l4", "kubectl describe pods -n demo"),),
        green("Serving", "Optimal", "Sufficient", "Routed"),
        shown="RolloutStalled",
    ),
    "a canary fails": Fault(
        serving,
        canary_fails,
        (told("WorkloadsReady", "ImagePullBackOff", "pod llama-l4", "v0.32.O", "correct RuntimeProfile spec.image"),),
        green("Serving", "Optimal", "Sufficient", "Routed"),
        shown="ImagePullBackOff",
    ),
    # others at our children
    "a Deployment is paused": Fault(
        serving,
        child(labels.DEPLOYMENT, lambda manifest: manifest["spec"].update(paused=True)),
        (told("WorkloadsReady", "Paused", "Deployment demo/llama-l4", "3 replicas", "kubectl rollout resume"),),
        green("Serving", "Optimal", "Sufficient", "Routed"),
        shown="Paused",
    ),
    "an autoscaler scales a Deployment": Fault(
        serving,
        autoscaled,
        (
            told(
                "ChildrenUnchanged",
                "ConflictingAutoscaler",
                "HorizontalPodAutoscaler demo/mine",
                "Deployment demo/llama-l4",
                "delete it",
            ),
        ),
        GREEN,
        shown="ConflictingAutoscaler",
    ),
    "a policy changes the image back": Fault(
        contended,
        with_image,
        (
            told(
                "ChildrenUnchanged",
                "DriftContention",
                "Deployment demo/llama-l4",
                "image",
                "make an exception for Medley",
            ),
        ),
        GREEN,
        after_seconds=30.0,
        shown="DriftContention",
    ),
    "others add a host network": Fault(
        serving,
        child(labels.DEPLOYMENT, lambda manifest: manifest["spec"]["template"]["spec"].update(hostNetwork=True)),
        (
            told(
                "ChildrenUnchanged",
                "ChangedByOthers",
                "Deployment demo/llama-l4",
                "hostNetwork",
                "remove it (kubectl edit)",
            ),
        ),
        GREEN,
        shown="ChangedByOthers",
    ),
    "a Deployment of that name is another's": Fault(
        nothing,
        taken_name(labels.DEPLOYMENT),
        (
            told(
                "WorkloadsReady",
                "NameConflict",
                "Deployment demo/llama-l4",
                "belongs to another object",
                "rename this LLMService",
            ),
        ),
        ALL_BUT_WORKLOADS,
        shown="NameConflict",
    ),
    "a Service of that name is another's": Fault(
        nothing,
        taken_name(labels.CORE_SERVICE),
        (
            told(
                "RoutingReady",
                "NameConflict",
                "Service demo/llama",
                "belongs to another object",
                "remove the other object",
            ),
        ),
        ALL_BUT_WORKLOADS,
        shown="Progressing,NameConflict",
    ),
    # routes
    "the Gateway API is missing": routing(looks(gateways=None), "GatewayApiMissing", '"inference"', "install its CRDs"),
    "the Gateway is missing": routing(
        looks(gateways=frozenset({("demo", "edge")})), "GatewayNotFound", '"inference"', "existing: edge", "create it"
    ),
    "the route is refused": routing(
        route({"parents": [{"parentRef": {"name": "inference"}, "conditions": REFUSED_ROUTE}]}),
        *(
            "RouteNotAccepted",
            "HTTPRoute demo/llama",
            "NotAllowedByListeners: no listener",
            "change the Gateway's listeners",
        ),
    ),
    "no controller reports on the route": routing(
        route({}), "RouteNotAccepted", 'Gateway "inference"', "check that one runs"
    ),
    # metrics
    "Prometheus is down": metrics_lost(
        FakePrometheus(override=down), "PrometheusUnavailable", URL, "connection refused", "check --prometheus-url"
    ),
    "Prometheus wants a login": metrics_lost(
        answers(401, "no"), "PrometheusUnavailable", "HTTP 401", "--prometheus-bearer-token-file"
    ),
    "Prometheus answers with a page": metrics_lost(
        answers(200, "<!doctype html><html>"), "PrometheusUnavailable", "an HTML page", "check --prometheus-url"
    ),
    "Prometheus redirects": metrics_lost(
        answers(302, location="https://login.example.com/x"),
        "PrometheusUnavailable",
        "HTTP 302",
        "login.example.com",
        "set --prometheus-url",
    ),
    "Prometheus lies": metrics_lost(
        FakePrometheus(load=load_elements(completed="NaN")),
        "MetricsInvalid",
        "impossible value nan",
        "Compare the engine's /metrics",
    ),
    "Prometheus has no series": metrics_lost(
        FakePrometheus(load=[]), "MetricsMissing", "there is no series", "docs/metrics.md"
    ),
    "Prometheus sees a part of the pods": Fault(
        scraped,
        observed(replace(make.found(0.3), pods=1)),
        (told("MetricsAvailable", "MetricsPartial", "1 pods of this service", "3 are Ready"),),
        green("Serving", "Optimal", "Sufficient", "AllReady", "Routed"),
        shown="MetricsPartial",
    ),
    "the load is a hundred times as much": Fault(
        scraped,
        observed(make.found(40.0)),
        (told("MetricsAvailable", "MetricsJump", "40 req/s"),),
        GREEN,
        shown="MetricsJump,Progressing",
    ),
    # specs
    "config.json is broken": refused_service(
        "UnknownModel",
        "spec.model.configJson is not JSON",
        "paste the model's",
        model={"uri": "hf://own/model", "configJson": "{"},
    ),
    "the pool is not there": refused_service(
        "PoolNotFound", 'spec.variants[0].poolRef "no"', "create it", variants=[on("no")]
    ),
    "the profile is not there": refused_service(
        "ProfileNotFound", 'spec.runtime.profileRef "no"', "create it", runtime={"profileRef": "no"}
    ),
    "an argument is not allowed": refused_service(
        "ArgumentNotAllowed", '"--trust-remote-code"', "remove it", runtime={"args": ["--trust-remote-code"]}
    ),
    "the targets are impossible": refused_service(
        "TargetImpossible", 'spec.slo.tpot "1ms"', "relax the target", slo={"ttft": "1ms", "tpot": "1ms"}
    ),
    "the model fits no pool": refused_service(
        "ModelFitsNoPool", "spec.model.uri", "add a GPUPool", model={"uri": "hf://meta-llama/Llama-3.1-405B-Instruct"}
    ),
    "the spec does not parse": Fault(
        nothing,
        looks(rejected=(make.unreadable(SERVICE, "llama", "spec.slo.ttft is missing; set it", namespace="demo"),)),
        (told("PlanReady", "InvalidSpec", "spec.slo.ttft", "set it"), told("Ready", "NoPlan", "spec.slo.ttft")),
        shown="InvalidSpec",
    ),
    "a profile is broken": Fault(
        serving,
        looks(profiles=(make.profile(args=["--model=other"]),)),
        (told("Ready", "InvalidSpec", "--model", kind=PROFILE, name="vllm"),),
        KEPT,
        shown="InvalidSpec",
    ),
    # policies
    "a Gateway of another namespace": refused_service(
        "PolicyDenied",
        'spec.routing.gatewayRef "platform/edge"',
        "ask the platform team",
        routing={"gatewayRef": {"name": "edge", "namespace": "platform"}},
    ),
    "a priority above the ceiling": Fault(
        nothing,
        asked(priority="High"),
        (told("WithinPolicy", "Clamped", "spec.priority High is planned as Normal", "Lower it in the spec"),),
        ALL_BUT_WORKLOADS,
        shown="Progressing,Clamped",
    ),
    "the quota of the policy is reached": Fault(
        nothing,
        lambda earlier: replace(asked(**ON_L4)(earlier), policies=(make.policy(maxGpus=2),)),
        (
            told("CapacityAvailable", "QuotaReached", "MedleyPolicy", "ask the platform team"),
            told("PlanReady", "Partial", "MedleyPolicy"),
        ),
        shown="Partial,QuotaReached,Progressing",
    ),
    # modes
    "Paused": in_mode(
        "Paused", "Paused", "spec.scaling.mode is Paused", "Another mode ends it", status="Unknown", shown="NoPlan"
    ),
    "Advisory": in_mode("Advisory", "Advisory", "spec.scaling.mode is Advisory", "only shown"),
    "Approve waits": in_mode("Approve", "AwaitingApproval", "medley approve demo/llama", "approves it"),
    # the planner
    "the solver failed before a plan": Fault(
        nothing,
        asked(**ON_L4),
        (told("PlanReady", "SolverFailed", "no answer within 20 s", "The next round tries again"),),
        green("MetricsFound"),
        outcome=failed,
        shown="SolverFailed",
    ),
    "the solver failed later": Fault(
        serving,
        moved,
        (told("PlanReady", "Held", "keeping the last plan", "no answer within 20 s", "tries again", status="True"),),
        KEPT,
        outcome=failed,
    ),
    "the verifier refused the plan": Fault(
        serving,
        moved,
        (told("PlanReady", "PlanRejected", "the verifier refuses replica 3 of l4", "report it"),),
        KEPT,
        outcome=refused_by_the_verifier,
        shown="PlanRejected",
    ),
}


def look(fault: Fault, earlier: Round, snapshot: Snapshot, now: str, before: Round | None = None) -> Round:
    memory, steps = (before or earlier).memory, (before or earlier).steps
    at_seconds = earlier.at_seconds + fault.after_seconds + (0.0 if before is None else 30.0)
    if fault.outcome is None:
        faulty = fault.breaks is not None
        return run(snapshot, memory, now=now, steps=steps, at_seconds=at_seconds, refused=fault.refused, faulty=faulty)
    prepared = prepare(snapshot, memory)
    return concluded(snapshot, prepared, fault.outcome(earlier), memory, now=now, steps=steps, at_seconds=at_seconds)


def conditions(done: Round, kind: str, name: str) -> dict[str, Condition]:
    """The conditions of the object after the round."""
    after = make.carried_out(done.snapshot, done.decision, ready=None)
    objects: dict[str, Sequence[Any]] = {
        SERVICE: after.services,
        POOL: after.pools,
        PROFILE: after.profiles,
        POLICY: after.policies,
        MEASURED: after.model_profiles,
    }
    for each in objects[kind]:
        if each.metadata.name == name:
            return {condition.type: condition for condition in each.status.conditions}
    (rejected,) = (each for each in after.rejected if (each.key.kind, each.key.name) == (kind, name))
    return {each["type"]: Condition.model_validate(each) for each in rejected.status["conditions"]}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_with_object_value_time_and_way_out(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = fault.before()
    if fault.breaks is not None:
        fault.breaks(monkeypatch)
    first = look(fault, earlier, fault.see(earlier), SINCE)
    again = look(fault, earlier, make.carried_out(first.snapshot, first.decision, ready=None), LATER, first)
    for round_ in (first, again):
        for told in fault.told:
            found = conditions(round_, told.kind, told.name)[told.type]
            assert (found.status, found.reason) == (told.status, told.reason), found.message
            for part in told.says:
                assert part in found.message, found.message
        assert not fault.told or any(
            WAYS_OUT.search(conditions(round_, told.kind, told.name)[told.type].message) for told in fault.told
        )
        assert_nothing_is_green_that_is_not_so(fault, round_)
    assert_since(fault, earlier, again)
    assert shown(again) == fault.shown


def assert_nothing_is_green_that_is_not_so(fault: Fault, done: Round) -> None:
    if not done.snapshot.services:
        return
    standing = {each.reason for each in conditions(done, SERVICE, "llama").values() if each.status == "True"}
    assert standing & GREEN <= fault.green


def assert_since(fault: Fault, earlier: Round, again: Round) -> None:
    """Since when: the time of the first look, also in later ones; a condition whose status stays keeps its time."""
    for told in fault.told:
        found = conditions(again, told.kind, told.name)[told.type]
        try:
            before = conditions(earlier, told.kind, told.name).get(told.type)
        except ValueError:
            before = None
        changed = before is None or before.status != told.status
        assert (found.last_transition_time == SINCE) is changed


def shown(done: Round) -> str:
    """The column Problem of `kubectl get llms`."""
    (path,) = (
        each.json_path for kind in KINDS if kind.kind == SERVICE for each in kind.columns if each.name == "Problem"
    )
    assert path == ".status.problem"
    after = make.carried_out(done.snapshot, done.decision, ready=None)
    for each in after.rejected:
        if each.key.kind == SERVICE:
            return str(each.status["problem"])
    return next((each.status.problem or "" for each in after.services), "")


def test_each_reason_that_is_not_good_has_a_row() -> None:
    """ModelProfiles, GPUTypes and power have tables of their own (`test_profiles.py`, `test_gpu_types.py`,
    `test_power_condition.py`)."""
    rows = {(each.kind, each.type, each.reason) for fault in FAULTS.values() for each in fault.told}
    bad = {
        (kind, type_, reason)
        for (kind, type_), reasons in documented().items()
        for reason in reasons["False"] - {POLICY}
        if kind not in (MEASURED, "GPUType") and type_ != POWER_WITHIN_BUDGET
    }
    assert bad - rows == set()
    unknown = documented()[SERVICE, "PlanReady"]["Unknown"]
    assert unknown - {reason for _, _, reason in rows} == {"NotPlanned", "MeterNotRead", "NotConfirmed"}


def test_a_service_without_a_fault_shows_no_problem() -> None:
    steady = serving()
    assert shown(steady) == ""
    standing = {each.reason for each in conditions(steady, SERVICE, "llama").values() if each.status == "True"}
    assert standing & GREEN == GREEN - {"MetricsFound"}


def test_the_problem_names_causes_before_symptoms() -> None:
    made = [Condition(type="Ready", status="False", reason="NoReadyReplicas", message="", last_transition_time=SINCE)]
    assert problem(made) == "NoReadyReplicas"
    made.append(made[0].model_copy(update={"type": "WorkloadsReady", "reason": "ImagePullBackOff"}))
    assert problem(made) == "ImagePullBackOff"
    assert problem([made[0].model_copy(update={"status": "True"})]) is None
