"""The kinds: the objects as they are read, and their names, scope and columns for the API server."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from medley_operator.api.v1alpha1.base import CelRule, ObservedModel
from medley_operator.api.v1alpha1.fields import (
    DNS_LABEL_PATTERN,
    MAX_POOL_NAME_LENGTH,
    MAX_SERVICE_NAME_LENGTH,
    SERVICE_NAME_PATTERN,
)
from medley_operator.api.v1alpha1.gpu_type import GPUTypeSpec
from medley_operator.api.v1alpha1.kind import AGE, Column, Kind, ObjectMeta, condition_column, named
from medley_operator.api.v1alpha1.model_profile import ModelProfileSpec
from medley_operator.api.v1alpha1.policy import MedleyPolicySpec
from medley_operator.api.v1alpha1.pool import GPUPoolSpec
from medley_operator.api.v1alpha1.power_kinds import POWER_KINDS
from medley_operator.api.v1alpha1.profile import RuntimeProfileSpec
from medley_operator.api.v1alpha1.service import LLMServiceSpec
from medley_operator.api.v1alpha1.status import (
    GPUPoolStatus,
    GPUTypeStatus,
    LLMServiceStatus,
    MedleyPolicyStatus,
    ModelProfileStatus,
    RuntimeProfileStatus,
)


class LLMService(ObservedModel):
    """One model served at a latency target."""

    metadata: ObjectMeta
    spec: LLMServiceSpec
    status: LLMServiceStatus = Field(default_factory=LLMServiceStatus)

    rules: ClassVar[tuple[CelRule, ...]] = (
        named(
            SERVICE_NAME_PATTERN,
            MAX_SERVICE_NAME_LENGTH,
            f"metadata.name must have at most {MAX_SERVICE_NAME_LENGTH} of a-z, 0-9 and -, begin with a letter and "
            "not end with -, because Services are named after it",
        ),
    )


class GPUPool(ObservedModel):
    """GPUs of one type and price."""

    metadata: ObjectMeta
    spec: GPUPoolSpec
    status: GPUPoolStatus = Field(default_factory=GPUPoolStatus)

    rules: ClassVar[tuple[CelRule, ...]] = (
        named(
            DNS_LABEL_PATTERN,
            MAX_POOL_NAME_LENGTH,
            f"metadata.name must have at most {MAX_POOL_NAME_LENGTH} of a-z, 0-9 and -, and not begin or end with -, "
            "because Deployments are named after it",
        ),
    )


class RuntimeProfile(ObservedModel):
    """An engine image, with its arguments and resources."""

    metadata: ObjectMeta
    spec: RuntimeProfileSpec
    status: RuntimeProfileStatus = Field(default_factory=RuntimeProfileStatus)


class ModelProfile(ObservedModel):
    """Measurements of one layout of one model."""

    metadata: ObjectMeta
    spec: ModelProfileSpec
    status: ModelProfileStatus = Field(default_factory=ModelProfileStatus)


class MedleyPolicy(ObservedModel):
    """The bounds of what LLMServices of some namespaces may ask for."""

    metadata: ObjectMeta
    spec: MedleyPolicySpec
    status: MedleyPolicyStatus = Field(default_factory=MedleyPolicyStatus)


KINDS: tuple[Kind, ...] = (
    Kind(
        kind="LLMService",
        plural="llmservices",
        short_names=("llms",),
        namespaced=True,
        spec=LLMServiceSpec,
        status=LLMServiceStatus,
        description="A model served at a latency target on the cheapest mix of GPU types.",
        columns=(
            condition_column("Ready"),
            Column(name="Mix", type="string", json_path=".status.mix", description="Ready/desired replicas by variant"),
            Column(name="Cost/h", type="string", json_path=".status.costPerHour", description="US dollars per hour"),
            Column(name="Req/s", type="string", json_path=".status.load.requestsPerSecond"),
            condition_column("PlanReady", name="Plan", field="reason"),
            Column(name="Problem", type="string", json_path=".status.problem", description="See kubectl describe llms"),
            Column(name="Savings%", type="string", json_path=".status.plan.savingsPercent", priority=1),
            Column(
                name="Attain%",
                type="string",
                json_path=".status.plan.predictedAttainmentPercent",
                description="Predicted percent of requests within the targets",
                priority=1,
            ),
            Column(name="Mode", type="string", json_path=".spec.scaling.mode", priority=1),
            condition_column("Ready", name="Message", field="message", priority=1),
            AGE,
        ),
        rules=LLMService.rules,
    ),
    Kind(
        kind="GPUPool",
        plural="gpupools",
        short_names=("gpool",),
        namespaced=False,
        spec=GPUPoolSpec,
        status=GPUPoolStatus,
        description="GPUs of one type that engines may run on, with their price and stock.",
        columns=(
            Column(name="GPU", type="string", json_path=".spec.gpu"),
            Column(name="Capacity", type="string", json_path=".spec.capacity.type"),
            Column(
                name="Price/h",
                type="string",
                json_path=".status.price.perHour",
                description="US dollars per GPU-hour that plans are made with",
            ),
            Column(name="Price-From", type="string", json_path=".status.price.source", priority=1),
            Column(
                name="Node-Price/h",
                type="string",
                json_path=".spec.cost.perNodeHour",
                description="US dollars per node-hour, where nodes are paid as a whole",
                priority=1,
            ),
            Column(name="Provisioning", type="string", json_path=".spec.provisioning", priority=1),
            Column(name="Nodes", type="integer", json_path=".status.readyNodes"),
            Column(name="Stock", type="integer", json_path=".status.stockGpus", description="GPUs that may be used"),
            Column(
                name="Planned", type="integer", json_path=".status.plannedGpus", description="GPUs that the plan uses"
            ),
            condition_column("Ready"),
            AGE,
        ),
        rules=GPUPool.rules,
    ),
    Kind(
        kind="RuntimeProfile",
        plural="runtimeprofiles",
        short_names=("rtp",),
        namespaced=False,
        spec=RuntimeProfileSpec,
        status=RuntimeProfileStatus,
        description="An engine image, with its arguments and resources.",
        columns=(
            Column(name="Image", type="string", json_path=".spec.image"),
            Column(name="Version", type="string", json_path=".spec.version"),
            condition_column("Ready"),
            AGE,
        ),
    ),
    Kind(
        kind="ModelProfile",
        plural="modelprofiles",
        short_names=("mprof",),
        namespaced=False,
        spec=ModelProfileSpec,
        status=ModelProfileStatus,
        description="Measurements of one layout of one model, used instead of the data sheet.",
        columns=(
            Column(name="Model", type="string", json_path=".spec.model"),
            Column(name="GPU", type="string", json_path=".spec.gpu"),
            Column(name="TP", type="integer", json_path=".spec.tensorParallel", description="GPUs of one replica"),
            Column(name="Precision", type="string", json_path=".spec.precision"),
            Column(name="Engine", type="string", json_path=".spec.engineVersion", description="Version of vLLM"),
            Column(name="Error%", type="string", json_path=".status.errorPercent", description="Mean error of TPOT"),
            condition_column("Accepted", field="reason"),
            condition_column("InUse", field="reason"),
            Column(name="Measured", type="string", json_path=".spec.measuredAt", priority=1),
            condition_column("Accepted", name="Message", field="message", priority=1),
            AGE,
        ),
    ),
    Kind(
        kind="MedleyPolicy",
        plural="medleypolicies",
        short_names=("mpol",),
        namespaced=False,
        spec=MedleyPolicySpec,
        status=MedleyPolicyStatus,
        description="What the platform team lets the LLMServices of some namespaces ask for.",
        columns=(
            Column(name="Max-Priority", type="string", json_path=".spec.limits.maxPriority"),
            Column(
                name="Max-GPUs",
                type="integer",
                json_path=".spec.limits.maxGpus",
                description="GPUs of one namespace",
            ),
            Column(
                name="Max-Cost/h",
                type="string",
                json_path=".spec.limits.maxCostPerHour",
                description="US dollars per hour of one namespace",
            ),
            Column(name="Max-Services", type="integer", json_path=".spec.limits.maxServices", priority=1),
            Column(name="Max-Replicas", type="integer", json_path=".spec.limits.maxReplicas", priority=1),
            Column(
                name="Namespaces",
                type="integer",
                json_path=".status.namespaces",
                description="Namespaces with LLMServices that it is for",
            ),
            Column(name="Services", type="integer", json_path=".status.services", description="LLMServices in them"),
            condition_column("Accepted", field="reason"),
            condition_column("Accepted", name="Message", field="message", priority=1),
            AGE,
        ),
    ),
    Kind(
        kind="GPUType",
        plural="gputypes",
        short_names=("gputype",),
        namespaced=False,
        spec=GPUTypeSpec,
        status=GPUTypeStatus,
        description="The data sheet of a GPU that Medley's catalogue lacks.",
        columns=(
            Column(name="Vendor", type="string", json_path=".spec.vendor"),
            Column(name="Memory-GB", type="string", json_path=".spec.memoryGb"),
            Column(name="GB/s", type="string", json_path=".spec.memoryGbPerSecond", description="Of its memory"),
            Column(name="TFLOPS", type="string", json_path=".spec.bf16Tflops", description="Dense peak in BF16"),
            condition_column("Accepted", field="reason"),
            condition_column("Accepted", name="Message", field="message", priority=1),
            AGE,
        ),
    ),
    *POWER_KINDS,
)
