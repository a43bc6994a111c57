"""The cluster's own GPU types beside the built-in ones: which count, and why the others do not. Pure.

A name of the built-in catalogue stays its own: a plan must not change because an H100 is described anew. Of two
GPUTypes with one name the first by name counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medley_operator.api.v1alpha1 import GPUType, GPUTypeStatus
from medley_operator.domain.values.catalogue import find_gpu
from medley_operator.domain.values.conditions import ACCEPTED, ConditionStatus, Draft, merge
from medley_operator.domain.values.decision import StatusWrite
from medley_operator.domain.values.snapshot import ObjectKey
from medley_planner.catalog import BadDataSheet, Catalogue, Gpu, gpu_of_sheet
from medley_planner.refusal import Refusal


@dataclass(frozen=True, slots=True)
class GpuTypes:
    """The catalogue with the types that count, and why others do not, by the name of their object."""

    catalogue: Catalogue = field(default_factory=Catalogue)
    refused: Mapping[str, Refusal] = field(default_factory=dict)


def gpu_types(given: Sequence[GPUType]) -> GpuTypes:
    """In the order of their names."""
    known = Catalogue()
    own: list[Gpu] = []
    refused: dict[str, Refusal] = {}
    for each in sorted(given, key=lambda each: each.metadata.name):
        read = _read(each, known, Catalogue(tuple(own)))
        if isinstance(read, Refusal):
            refused[each.metadata.name] = read
        else:
            own.append(read)
    return GpuTypes(Catalogue(tuple(own)), refused)


def gpu_type_status(given: GPUType, types: GpuTypes, *, now: str) -> StatusWrite | None:
    """The status of a GPUType, or None where it reads so already."""
    refusal = types.refused.get(given.metadata.name)
    draft = Draft(ConditionStatus.TRUE, "Accepted", f'GPUPools and ModelProfiles may name "{given.metadata.name}"')
    if refusal is not None:
        draft = Draft(ConditionStatus.FALSE, refusal.reason, refusal.message)
    generation = given.metadata.generation
    status = GPUTypeStatus(
        observed_generation=generation,
        conditions=merge(given.status.conditions, {ACCEPTED: draft}, generation=generation, now=now),
    )
    if status == given.status:
        return None
    key = ObjectKey(kind="GPUType", namespace="", name=given.metadata.name)
    written = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return StatusWrite(key=key, uid=given.metadata.uid, status=written)


def _read(given: GPUType, built_in: Catalogue, others: Catalogue) -> Gpu | Refusal:
    try:
        gpu = gpu_of_sheet(given.metadata.name, given.spec.model_dump(mode="json", by_alias=True, exclude_none=True))
    except BadDataSheet as error:
        return Refusal("InvalidSpec", f"spec.{error}")
    for field_name, name in (
        ("metadata.name", gpu.name),
        *((f"spec.productNames[{index}]", alias) for index, alias in enumerate(gpu.aliases)),
    ):
        taken = find_gpu(name, built_in)
        if taken is not None:
            message = (
                f'{field_name} "{name}" is {taken.name} of Medley\'s catalogue, which counts; remove the name, or give '
                "GPUPools another one"
            )
            return Refusal("ShadowsCatalogue", message)
        other = find_gpu(name, others)
        if other is not None:
            message = (
                f'{field_name} "{name}" is also a name of GPUType "{other.name}", which counts; remove it from one'
            )
            return Refusal("NameTaken", message)
    return gpu
