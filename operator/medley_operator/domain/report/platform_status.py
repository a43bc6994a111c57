"""Statuses of GPUPools, of RuntimeProfiles and of objects that do not parse. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from medley_operator.api.v1alpha1 import Condition, GPUPoolStatus, RuntimeProfile, RuntimeProfileStatus
from medley_operator.domain.checks.runtime_profile import profile_refusal
from medley_operator.domain.cluster.children import running_variants
from medley_operator.domain.cluster.prices import stale_seconds
from medley_operator.domain.report.pool_supply import stock_limits, supply_drafts
from medley_operator.domain.report.service_conditions import PLAN_READY, READY, unreadable_drafts
from medley_operator.domain.speed.profiles import IN_USE, NOT_ACCEPTED
from medley_operator.domain.values.candidates import PoolState
from medley_operator.domain.values.conditions import (
    ACCEPTED,
    ConditionStatus,
    Draft,
    PlanReason,
    as_written,
    find,
    merge,
    problem,
)
from medley_operator.domain.values.decision import EventNote, EventType, StatusWrite
from medley_operator.domain.values.labels import OWNER_KIND, POLICY
from medley_operator.domain.values.leadtime import unix_seconds
from medley_operator.domain.values.printable import first_few
from medley_operator.domain.values.snapshot import InvalidObject, Manifest, ObjectKey
from medley_operator.domain.values.stock import PoolStock
from medley_operator.domain.variants.requested import image_refusal
from medley_planner.catalog import is_shared

_TRUE, _FALSE, _UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
NODES_SHARED = "NodesShared"
"""The condition of a pool whose nodes other pools select too; present only then."""
PRICE_KNOWN = "PriceKnown"
"""The condition of a pool whose price nobody has said for an hour; present only then."""
PODS_SEEN = "PodsSeen"
"""The condition of a pool on whose nodes pods of others may stand unseen; present only then."""
MOST_TAINTS = 3
_REFUSED_BY = {"LLMService": PLAN_READY, "ModelProfile": ACCEPTED, POLICY: ACCEPTED, "GPUType": ACCEPTED}
"""The condition that says why an object does not parse, by kind; Ready for the others."""


def pool_status(
    state: PoolState,
    profiles: Sequence[RuntimeProfile],
    *,
    planned_gpus: int,
    planned_nodes: int | None,
    now: str,
) -> StatusWrite | None:
    """The status of a pool, or None where it reads so already. `planned_nodes`: None unless it is paid by the node."""
    pool = state.pool
    generation = pool.metadata.generation
    status = GPUPoolStatus(
        observed_generation=generation,
        price=state.price,
        ready_nodes=state.stock.ready_nodes,
        stock_gpus=state.stock_gpus,
        free_gpus=state.stock.free_gpus,
        foreign_gpus=state.stock.foreign_gpus,
        stock_limits=stock_limits(state.stock),
        planned_gpus=planned_gpus,
        planned_nodes=planned_nodes,
        conditions=merge(
            pool.status.conditions, _pool_drafts(state, profiles, now=now), generation=generation, now=now
        ),
    )
    if status == pool.status:
        return None
    key = ObjectKey(kind="GPUPool", namespace="", name=pool.metadata.name)
    return StatusWrite(key=key, uid=pool.metadata.uid, status=_dump(status))


def _pool_drafts(state: PoolState, profiles: Sequence[RuntimeProfile], *, now: str) -> dict[str, Draft]:
    drafts = {READY: _pool_ready(state, profiles), **supply_drafts(state)}
    stale = stale_seconds(state.price, unix_seconds=unix_seconds(now) or 0.0) if state.price is not None else None
    if state.price is not None and stale is not None:
        message = (
            f"{state.price.source} has not given a price since {state.price.observed_at}; plans go on with "
            f"${state.price.per_hour} for a GPU and hour; bring its metric back to Prometheus, or set spec.cost"
        )
        drafts[PRICE_KNOWN] = Draft(_FALSE, "PriceStale", message)
    if state.stock.shares_with:
        others = ", ".join(f'"{name}"' for name in state.stock.shares_with)
        message = (
            f"GPUPool {others} selects some of the GPUs that spec.nodeSelector ({_selector(state)}) and "
            "spec.resourceName select; each node counts for one of these pools only: the one whose pods run there, "
            "else the first by name; make the selectors differ, or delete the pools that are not needed"
        )
        drafts[NODES_SHARED] = Draft(_TRUE, "SelectorsOverlap", message)
    if state.stock.watched:
        message = (
            f"only pods of the namespaces {', '.join(state.stock.watched)} are seen (--watch-namespaces), so GPUs that "
            "pods of other namespaces hold count as free; give Medley nodes of its own, or let it watch all namespaces"
        )
        drafts[PODS_SEEN] = Draft(_FALSE, "OnlyWatchedNamespaces", message)
    return drafts


def _pool_ready(state: PoolState, profiles: Sequence[RuntimeProfile]) -> Draft:
    spec, stock = state.pool.spec, state.stock
    if state.refusal is not None:
        return Draft(_FALSE, state.refusal.reason, state.refusal.message)
    without = [profile.metadata.name for profile in profiles if image_refusal(profile, state)]
    if without and len(without) == len(profiles):
        return Draft(_FALSE, PlanReason.NO_IMAGE, _no_image(state, without))
    if state.unreadable:
        return Draft(_UNKNOWN, "NodesUnreadable", _unreadable_nodes(state))
    counted = spec.capacity.nodes is None and spec.capacity.type.value == "Fixed"
    if counted and stock.ready_nodes == 0:
        return Draft(_FALSE, "NoNodes", _no_nodes(state))
    if not stock.unlimited and stock.ready_nodes > 0 and not any(node.gpus for node in stock.nodes):
        return Draft(_FALSE, "NoGpus", f"no node that matches spec.nodeSelector ({_selector(state)}) {_no_gpus(state)}")
    blocked = _blocked(stock)
    if blocked and not stock.unlimited and not any(node.open for node in stock.nodes):
        return Draft(_FALSE, "TaintNotTolerated", blocked)
    gpus = "no limit" if stock.stock_gpus is None else f"{stock.stock_gpus} GPUs"
    lacking = [node.name for node in stock.nodes if node.name and not node.gpus]
    notes = [
        f"{state.gpu.name if state.gpu is not None else state.pool.spec.gpu}: {gpus}",
        f"pods of others hold {stock.foreign_gpus} more" if stock.foreign_gpus else "",
        f"not every node {_no_gpus(state)}" if lacking else "",
        blocked,
        _no_image(state, without) if without else "",
        _shared(state),
    ]
    return Draft(_TRUE, "Accepted", "; ".join(note for note in notes if note))


def _no_image(state: PoolState, without: Sequence[str]) -> str:
    vendor = state.gpu.vendor if state.gpu is not None else "other"
    return (
        f"RuntimeProfile {first_few(without)} has no image for {vendor} GPUs, so its services are not planned here; "
        "add one to its spec.images"
    )


def _shared(state: PoolState) -> str:
    if not is_shared(state.pool.spec.gpu):
        return ""
    return (
        "several pods may get one GPU (-SHARED), but each replica is planned with a whole one; turn sharing off on "
        "these nodes, or describe a replica's part in a GPUType"
    )


def _no_nodes(state: PoolState) -> str:
    seen = [node.name for node in state.stock.nodes if node.name]
    if seen:
        return (
            f"no node that matches spec.nodeSelector ({_selector(state)}) takes new pods: {first_few(seen)} are "
            "cordoned, not Ready or being deleted; uncordon them (kubectl uncordon), or bring them back "
            "(kubectl describe node)"
        )
    return (
        f"no node matches spec.nodeSelector ({_selector(state)}); label the nodes, correct the selector, or set "
        "spec.capacity.type to Elastic if nodes are created on demand"
    )


def _no_gpus(state: PoolState) -> str:
    """The end of a sentence about nodes."""
    lacking = [node.name for node in state.stock.nodes if node.name and not node.gpus]
    return (
        f"has {state.pool.spec.resource_name} in status.allocatable; check the device plugin on {first_few(lacking)}, "
        "or correct spec.resourceName"
    )


def _blocked(stock: PoolStock) -> str:
    """Which taints keep new pods off Ready nodes, and the way out; "" for none."""
    if not stock.untolerated:
        return ""
    taints = [f"{each.key}={each.value}:{each.effect}".replace("=:", ":") for each in stock.untolerated]
    named = ", ".join(taints[:MOST_TAINTS]) + (f" and {len(taints) - MOST_TAINTS} more" if taints[MOST_TAINTS:] else "")
    nodes = "node" if stock.tainted_nodes == 1 else "nodes"
    return (
        f"no new pod can start on {stock.tainted_nodes} Ready {nodes}, because spec.tolerations does not tolerate "
        f"{named}; add the toleration, or remove the taint"
    )


def _selector(state: PoolState) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(state.pool.spec.node_selector.items()))


def _unreadable_nodes(state: PoolState) -> str:
    nodes = state.pool.spec.capacity.nodes
    source = "last seen" if nodes is None else f"declared by spec.capacity.nodes {nodes}"
    stock = "no limit" if state.stock_gpus is None else f"{state.stock_gpus} GPUs, as {source}"
    return (
        f"nodes cannot be listed ({state.unreadable}); the stock is taken to be {stock}; grant the operator's "
        "ServiceAccount list and watch on nodes (Helm: rbac.create=true)"
    )


def profile_status(profile: RuntimeProfile, *, now: str) -> StatusWrite | None:
    """The status of a profile, or None where it reads so already."""
    generation = profile.metadata.generation
    refusal = profile_refusal(profile)
    draft = (
        Draft(_FALSE, refusal.reason, refusal.message)
        if refusal is not None
        else Draft(_TRUE, "Accepted", f"{profile.spec.engine} {profile.spec.version}, {_images(profile)}")
    )
    status = RuntimeProfileStatus(
        observed_generation=generation,
        conditions=merge(profile.status.conditions, {READY: draft}, generation=generation, now=now),
    )
    if status == profile.status:
        return None
    key = ObjectKey(kind="RuntimeProfile", namespace="", name=profile.metadata.name)
    return StatusWrite(key=key, uid=profile.metadata.uid, status=_dump(status))


def _images(profile: RuntimeProfile) -> str:
    """The image, with its vendor where there are several."""
    images = profile.spec.by_vendor
    return ", ".join(image if len(images) == 1 else f"{image} for {vendor}" for vendor, image in images.items())


def rejected_status(rejected: InvalidObject, *, own: Mapping[ObjectKey, Manifest], now: str) -> StatusWrite | None:
    """The status of an object that does not parse: what it said before, with conditions that say why.

    `own` are the children that it controls.
    """
    merged = merge(
        _conditions(rejected.status), _unreadable_drafts(rejected, own), generation=rejected.generation, now=now
    )
    told = {"problem": problem(merged)} if rejected.key.kind == OWNER_KIND else {}
    status: Manifest = {
        **rejected.status,
        **told,
        "observedGeneration": rejected.generation,
        "conditions": [condition.model_dump(mode="json", by_alias=True, exclude_none=True) for condition in merged],
    }
    if status == rejected.status:
        return None
    return StatusWrite(key=rejected.key, uid=rejected.uid, status=status)


def _unreadable_drafts(rejected: InvalidObject, own: Mapping[ObjectKey, Manifest]) -> dict[str, Draft]:
    """All conditions of the object, because what they said of an earlier spec does not count any more."""
    if rejected.key.kind == "LLMService":
        return unreadable_drafts(sum(variant.ready for variant in running_variants(own).values()), rejected.refusal)
    refused = Draft(_FALSE, rejected.refusal.reason, rejected.refusal.message)
    if rejected.key.kind == "ModelProfile":
        return {ACCEPTED: refused, IN_USE: NOT_ACCEPTED}
    return {_REFUSED_BY.get(rejected.key.kind, READY): refused}


def rejected_event(rejected: InvalidObject) -> tuple[EventNote, ...]:
    """A warning when the object stops to parse or does so for another reason."""
    type_ = _REFUSED_BY.get(rejected.key.kind, READY)
    before = find(_conditions(rejected.status), type_)
    refusal = rejected.refusal
    if before is not None and (before.reason, before.message) == (refusal.reason, as_written(refusal.message)):
        return ()
    return (
        EventNote(
            regarding=rejected.key,
            uid=rejected.uid,
            type=EventType.WARNING,
            reason=refusal.reason,
            message=refusal.message,
        ),
    )


def _conditions(status: Manifest) -> list[Condition]:
    found: list[Condition] = []
    entries: list[Any] = status.get("conditions") or []
    for entry in entries:
        try:
            found.append(Condition.model_validate(entry))
        except ValidationError:
            # A condition that does not parse is not ours to keep; the ones written below replace it.
            continue
    return found


def _dump(status: GPUPoolStatus | RuntimeProfileStatus) -> Manifest:
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)
