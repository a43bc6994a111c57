"""The conditions of one LLMService, one function each, as docs/reference.md lists them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from medley_operator.api.v1alpha1 import LLMService, ServiceRoutingMode
from medley_operator.domain.engine.arguments import served_model_name
from medley_operator.domain.rollout.decision import ServiceDecision
from medley_operator.domain.rollout.goals import GoalKind
from medley_operator.domain.rollout.writes import OwnerConflict
from medley_operator.domain.values import labels
from medley_operator.domain.values.conditions import ConditionStatus, ConditionType, Draft, find
from medley_operator.domain.values.snapshot import Manifest, MetricsReason
from medley_planner.units import percent

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


def service_drafts(outcome: ServiceDecision, *, gateways: frozenset[tuple[str, str]] | None) -> list[Draft]:
    """All conditions of one service, in the order in which `kubectl describe` shows them."""
    drafts = [
        _ready(outcome),
        _metrics(outcome),
        _plan(outcome),
        _capacity(outcome),
        _workloads(outcome),
        _routing(outcome, gateways=gateways),
    ]
    if outcome.same_model_as is not None:
        drafts.append(_same_model(outcome.candidate.service, outcome.same_model_as))
    missed = _missed_targets(outcome)
    return drafts if missed is None else [*drafts, missed]


def _ready(outcome: ServiceDecision) -> Draft:
    ready, desired = outcome.ready_replicas, outcome.desired_replicas
    if ready > 0:
        return Draft(ConditionType.READY, _TRUE, "Serving", f"{ready} of {desired} replicas are Ready")
    if desired > 0:
        return Draft(ConditionType.READY, _FALSE, "NoReadyReplicas", f"0 of {desired} replicas are Ready yet")
    if outcome.goal.kind is GoalKind.PLANNED:
        message = "the plan has no replica: there is no load and spec.scaling.minReplicas is 0"
        if outcome.goal.status is _FALSE:
            message = outcome.goal.message
        return Draft(ConditionType.READY, _FALSE, "NoReadyReplicas", message)
    return Draft(
        ConditionType.READY,
        _FALSE,
        "NoPlan",
        f"nothing serves, since there is no plan ({outcome.goal.reason}: {outcome.goal.message})",
        sticky_message=outcome.goal.sticky_message,
    )


def _metrics(outcome: ServiceDecision) -> Draft:
    choice = outcome.candidate.choice
    if choice is None:
        previous = find(outcome.candidate.service.status.conditions, ConditionType.METRICS_AVAILABLE)
        if previous is not None:
            return Draft(
                ConditionType.METRICS_AVAILABLE, ConditionStatus(previous.status), previous.reason, previous.message
            )
        return Draft(ConditionType.METRICS_AVAILABLE, _UNKNOWN, "NotPlanned", "not looked at, since nothing is planned")
    if choice.reason in (MetricsReason.FOUND, MetricsReason.STATIC):
        return Draft(ConditionType.METRICS_AVAILABLE, _TRUE, choice.reason, choice.message)
    return Draft(ConditionType.METRICS_AVAILABLE, _FALSE, choice.reason, choice.message, sticky_message=True)


def _plan(outcome: ServiceDecision) -> Draft:
    goal = outcome.goal
    return Draft(ConditionType.PLAN_READY, goal.status, goal.reason, goal.message, sticky_message=goal.sticky_message)


def _capacity(outcome: ServiceDecision) -> Draft:
    goal = outcome.goal
    if goal.shortage is not None:
        lacking = goal.shortage
        # Without a plan the load is not remembered, so its figures would move each round.
        sticky = goal.plan is None
        return Draft(ConditionType.CAPACITY_AVAILABLE, _FALSE, lacking.reason, lacking.message, sticky_message=sticky)
    if goal.plan is not None:
        return Draft(ConditionType.CAPACITY_AVAILABLE, _TRUE, "Sufficient", "the pools hold the GPUs of the plan")
    previous = find(outcome.candidate.service.status.conditions, ConditionType.CAPACITY_AVAILABLE)
    if previous is not None:
        status = ConditionStatus(previous.status)
        return Draft(ConditionType.CAPACITY_AVAILABLE, status, previous.reason, previous.message)
    return Draft(ConditionType.CAPACITY_AVAILABLE, _UNKNOWN, "NotPlanned", "not known, since nothing is planned")


def _workloads(outcome: ServiceDecision) -> Draft:
    conflicts = [conflict for conflict in outcome.writes.conflicts if conflict.key.kind != labels.HTTP_ROUTE]
    if conflicts:
        return Draft(ConditionType.WORKLOADS_READY, _FALSE, "NameConflict", conflict_message(conflicts))
    waiting = [f"{row.name} {row.ready}/{row.desired}" for row in outcome.rows if row.ready < row.desired]
    if waiting:
        message = f"waiting for replicas to become Ready: {', '.join(waiting)}"
        return Draft(ConditionType.WORKLOADS_READY, _FALSE, "Progressing", message)
    leaving = [
        f"{name} {count} → {outcome.targets.desired.get(name, 0)}"
        for name, count in sorted(outcome.targets.replicas.items())
        if count > outcome.targets.desired.get(name, 0)
    ]
    if leaving:
        message = f"waiting to remove replicas: {', '.join(leaving)}"
        return Draft(ConditionType.WORKLOADS_READY, _FALSE, "Progressing", message)
    return Draft(ConditionType.WORKLOADS_READY, _TRUE, "AllReady", "every replica of the plan is Ready")


def conflict_message(conflicts: list[OwnerConflict]) -> str:
    named = "; ".join(f"{conflict.key} belongs to {conflict.holder}" for conflict in conflicts)
    return f"{named}; rename this LLMService or its variant (spec.variants[].name), or remove the other object"


def _routing(outcome: ServiceDecision, *, gateways: frozenset[tuple[str, str]] | None) -> Draft:
    service = outcome.candidate.service
    if service.spec.routing.effective_mode() is ServiceRoutingMode.HTTP_ROUTE:
        problem = _route_problem(outcome, gateways=gateways)
        if problem is not None:
            return Draft(ConditionType.ROUTING_READY, _FALSE, *problem)
    if outcome.ready_replicas == 0:
        message = "requests would find no Ready replica"
        return Draft(ConditionType.ROUTING_READY, _FALSE, "NoReadyReplicas", message)
    return Draft(ConditionType.ROUTING_READY, _TRUE, "Routed", f"requests to {service_url(service)} reach the replicas")


def _route_problem(outcome: ServiceDecision, *, gateways: frozenset[tuple[str, str]] | None) -> tuple[str, str] | None:
    service = outcome.candidate.service
    gateway = service.spec.routing.gateway_ref
    name = gateway.name if gateway is not None else ""
    field = f'spec.routing.gatewayRef.name "{name}"'
    namespace = service.metadata.namespace
    in_reach = f"until then the pods are reached by Service {namespace}/{service.metadata.name}"
    if gateways is None:
        return (
            "GatewayApiMissing",
            f"{field} needs the Gateway API, which this cluster lacks; install its CRDs and a gateway, or set "
            f"spec.routing.mode to Service; {in_reach}",
        )
    if (namespace, name) not in gateways:
        present = ", ".join(sorted(found for space, found in gateways if space == namespace)) or "none"
        return (
            "GatewayNotFound",
            f"{field}: namespace {namespace} has no such Gateway (present: {present}); create it, name another, or set "
            f"spec.routing.mode to Service; {in_reach}",
        )
    conflicts = [conflict for conflict in outcome.writes.conflicts if conflict.key.kind == labels.HTTP_ROUTE]
    if conflicts:
        return "NameConflict", conflict_message(conflicts)
    refusal = route_refusal(outcome.route, gateway=name)
    if refusal is not None:
        return "RouteNotAccepted", f'HTTPRoute {namespace}/{service.metadata.name} at Gateway "{name}": {refusal}'
    return None


def route_refusal(route: Manifest | None, *, gateway: str) -> str | None:
    """Why the gateway does not carry the route, or None where it accepted it."""
    parents = ((route or {}).get("status") or {}).get("parents") or []
    mine = [parent for parent in parents if (parent.get("parentRef") or {}).get("name") == gateway]
    if not mine:
        return "no gateway controller has answered yet; check that one runs for the Gateway's class"
    for parent in mine:
        conditions: Mapping[str, Manifest] = {item.get("type", ""): item for item in parent.get("conditions") or []}
        for type_ in ("Accepted", "ResolvedRefs"):
            condition = conditions.get(type_)
            if condition is not None and condition.get("status") == "False":
                reason, message = condition.get("reason", ""), condition.get("message", "")
                return f"{type_} is False ({reason}: {message}); change the Gateway's listeners or name another Gateway"
        if (conditions.get("Accepted") or {}).get("status") != "True":
            return "not accepted yet; check that a gateway controller runs for the Gateway's class"
    return None


def _same_model(service: LLMService, other: str) -> Draft:
    message = (
        f'spec.model.name "{served_model_name(service)}" is also served by LLMService "{other}" of this namespace; '
        "both are planned, each for its own traffic; give one another spec.model.name if clients choose by model name"
    )
    return Draft(ConditionType.MODEL_NAME_UNIQUE, _FALSE, "SameModelName", message)


def _missed_targets(outcome: ServiceDecision) -> Draft | None:
    """Where the plan, simulated, falls short of the percentile; as before where it was not simulated."""
    service, checked = outcome.candidate.service, outcome.goal.checked
    if checked is None:
        previous = find(service.status.conditions, ConditionType.SLO_ATTAINABLE)
        if previous is None:
            return None
        return Draft(ConditionType.SLO_ATTAINABLE, ConditionStatus(previous.status), previous.reason, previous.message)
    if checked.attains:
        return None
    slo = service.spec.slo
    worst = min(checked.variants, key=lambda name: checked.variants[name].attainment)
    message = (
        f"simulated at the planned load, spec.slo (ttft {slo.ttft}, tpot {slo.tpot}) is kept for "
        f"{percent(checked.attainment)} % of requests, below spec.slo.percentile {slo.percentile}; worst is variant "
        f"{worst} with {percent(checked.variants[worst].attainment)} %, and less load for each replica does not help "
        "or finds no GPU; relax the target, raise the stock or limits that bind (status.plan.limits), or name faster "
        "pools in spec.variants"
    )
    return Draft(ConditionType.SLO_ATTAINABLE, _FALSE, "PredictedBelowTarget", message, sticky_message=True)


def service_url(service: LLMService) -> str:
    """Where clients send requests: a path behind the Gateway, or the address of the common Service."""
    namespace, name = service.metadata.namespace, service.metadata.name
    if service.spec.routing.effective_mode() is ServiceRoutingMode.HTTP_ROUTE:
        return f"/{namespace}/{name}"
    return f"http://{name}.{namespace}.svc:{labels.HTTP_PORT}"
