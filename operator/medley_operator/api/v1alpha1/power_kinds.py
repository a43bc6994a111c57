"""The kinds of power: budgets, caps by node, and events. The controller of power reads them, not the fleet operator."""

from __future__ import annotations

from pydantic import Field

from medley_operator.api.v1alpha1.base import ObservedModel
from medley_operator.api.v1alpha1.kind import AGE, Column, Kind, ObjectMeta, condition_column
from medley_operator.api.v1alpha1.node_power_cap import NodePowerCapSpec, NodePowerCapStatus
from medley_operator.api.v1alpha1.power_domain import PowerDomainSpec, PowerDomainStatus
from medley_operator.api.v1alpha1.power_event import PowerEventSpec, PowerEventStatus


class PowerDomain(ObservedModel):
    """A feed with a budget of watts."""

    metadata: ObjectMeta
    spec: PowerDomainSpec
    status: PowerDomainStatus = Field(default_factory=PowerDomainStatus)


class NodePowerCap(ObservedModel):
    """The caps of one node's GPUs, named as the node."""

    metadata: ObjectMeta
    spec: NodePowerCapSpec
    status: NodePowerCapStatus = Field(default_factory=NodePowerCapStatus)


class PowerEvent(ObservedModel):
    """A lower budget for some time."""

    metadata: ObjectMeta
    spec: PowerEventSpec
    status: PowerEventStatus = Field(default_factory=PowerEventStatus)


POWER_KINDS: tuple[Kind, ...] = (
    Kind(
        kind="PowerDomain",
        plural="powerdomains",
        short_names=("pdom",),
        namespaced=False,
        spec=PowerDomainSpec,
        status=PowerDomainStatus,
        description="A feed with a budget of watts: of a site, a row or a rack.",
        columns=(
            Column(name="Parent", type="string", json_path=".spec.parent"),
            Column(name="Mode", type="string", json_path=".spec.mode"),
            Column(name="Budget", type="integer", json_path=".status.budgetWatts", description="Watts, now"),
            Column(name="Watts", type="integer", json_path=".status.watts"),
            Column(name="Level", type="integer", json_path=".status.level", description="0: uncapped"),
            Column(name="Reason", type="string", json_path=".status.reason"),
            Column(name="Capped", type="integer", json_path=".status.cappedGpus", description="GPUs"),
            Column(name="GPUs", type="integer", json_path=".status.gpus", priority=1),
            condition_column("Accepted", field="reason"),
            condition_column("Accepted", name="Message", field="message", priority=1),
            AGE,
        ),
    ),
    Kind(
        kind="NodePowerCap",
        plural="nodepowercaps",
        short_names=("npc",),
        namespaced=False,
        spec=NodePowerCapSpec,
        status=NodePowerCapStatus,
        description="What the GPUs of one node are held to, and what its agent enforces.",
        columns=(
            Column(name="Mode", type="string", json_path=".spec.mode"),
            Column(name="State", type="string", json_path=".status.state"),
            Column(name="Capped", type="integer", json_path=".status.cappedGpus", description="GPUs"),
            Column(name="Revision", type="integer", json_path=".spec.revision"),
            Column(name="Enforced", type="integer", json_path=".status.observedRevision", description="Revision"),
            Column(name="Renewed", type="string", json_path=".spec.lease.renewTime", priority=1),
            Column(name="Message", type="string", json_path=".status.message", priority=1),
            AGE,
        ),
    ),
    Kind(
        kind="PowerEvent",
        plural="powerevents",
        short_names=("pev",),
        namespaced=False,
        spec=PowerEventSpec,
        status=PowerEventStatus,
        description="A lower budget of a power domain from one time to another.",
        columns=(
            Column(name="Domain", type="string", json_path=".spec.domain"),
            Column(name="Phase", type="string", json_path=".status.phase"),
            Column(name="Target", type="integer", json_path=".status.targetWatts", description="Watts"),
            Column(name="Start", type="string", json_path=".spec.start"),
            Column(name="End", type="string", json_path=".spec.end"),
            Column(name="Source", type="string", json_path=".spec.source", priority=1),
            condition_column("Accepted", field="reason"),
            condition_column("Accepted", name="Message", field="message", priority=1),
            AGE,
        ),
    ),
)
