"""Finds a GPU type by its name or by the product name that GPU feature discovery puts on a node.

Labels write blanks as dashes (AMD's as underscores) and end with -SHARED where several pods get one GPU, and with -MIG-
and a profile, such as -MIG-3g.20gb, where a resource is a part of a GPU. A part has the profile's share of compute and
memory (MIG User Guide, Supported MIG Profiles: slices of compute, eighths or quarters of memory), and no link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from medley_planner.bad_input import BadInput
from medley_planner.catalog.boards import BOARDS
from medley_planner.catalog.gpu import Gpu
from medley_planner.catalog.guessed import GUESSED
from medley_planner.catalog.measured import MEASURED

_SHARED = "-shared"
_PROFILE = re.compile(r"(?P<whole>.+)-mig-(?P<slices>[1-9])g\.(?P<gigabytes>[0-9]{1,3})gb(?:[.+]me(?:\.all)?)?")
_MEMORY_PARTS = {4: 4, 7: 8}
"""Parts of memory by the slices of compute that a GPU has."""
_CLOSE = 0.1
"""A profile's memory is within this share of a whole number of parts."""
_FEWEST_GIGABYTES_KEPT = 0.25
"""GiB that a part's own driver state takes of it."""


class UnknownGpu(BadInput):
    """No GPU type of that name is in the catalogue."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        way_out = f"it is not in the catalogue; describe it in a GPUType, or use a known one: {', '.join(known)}"
        super().__init__("", "GPU", name, way_out)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """GPU types by name. `own`: those of a cluster or a file; a name of the built-in rows stays theirs."""

    own: tuple[Gpu, ...] = ()
    _by_name: Mapping[str, Gpu] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        rows = (*self.own, *BUILT_IN)
        object.__setattr__(self, "_by_name", {plain(name): row for row in rows for name in (row.name, *row.aliases)})

    def gpu(self, name: str) -> Gpu:
        """The GPU type called `name` (its name or an alias, in any case, or a part of it). Raises UnknownGpu."""
        wanted = plain(name).removesuffix(_SHARED)
        found = self._by_name.get(wanted)
        if found is None and (profile := _PROFILE.fullmatch(wanted)) is not None:
            whole = self._by_name.get(profile["whole"])
            found = None if whole is None else _part(whole, int(profile["slices"]), int(profile["gigabytes"]))
        if found is None:
            raise UnknownGpu(name, self.names())
        return found

    def names(self) -> tuple[str, ...]:
        """The catalogue's own names, in its order, and then those of `own`."""
        return tuple(row.name for row in (*BUILT_IN, *self.own))


def plain(name: str) -> str:
    """The name as it is compared."""
    return re.sub(r"[\s_]+", "-", name.strip()).casefold()


def is_shared(name: str) -> bool:
    """Whether a product name says that several pods get one GPU."""
    return plain(name).endswith(_SHARED)


def _part(whole: Gpu, slices: int, gigabytes: int) -> Gpu | None:
    """None where the GPU has no such part."""
    parts = _MEMORY_PARTS.get(whole.mig_slices, 0)
    held = gigabytes / whole.usable_gib * parts
    if not parts or slices > whole.mig_slices or not 1 <= round(held) <= parts or abs(held / round(held) - 1) > _CLOSE:
        return None
    compute, memory = slices / whole.mig_slices, round(held) / parts

    def share(peak: float | None) -> float | None:
        return None if peak is None else peak * compute

    return replace(
        whole,
        name=f"{whole.name}-MIG-{slices}g.{gigabytes}gb",
        aliases=(),
        bf16_tflops=whole.bf16_tflops * compute,
        fp8_tflops=share(whole.fp8_tflops),
        fp4_tflops=share(whole.fp4_tflops),
        memory_gb=whole.memory_gb * memory,
        usable_gib=whole.usable_gib * memory - _FEWEST_GIGABYTES_KEPT,
        memory_gb_per_second=whole.memory_gb_per_second * memory,
        watts=whole.watts * max(compute, memory),
        mig_slices=0,
        part=True,
        source=f"{whole.source}; shares of MIG User Guide profile {slices}g.{gigabytes}gb",
        note="; ".join(filter(None, (whole.note, "efficiencies are those of the whole GPU"))),
    )


BUILT_IN: tuple[Gpu, ...] = (*MEASURED, *BOARDS, *GUESSED)
CATALOGUE = Catalogue()
"""The built-in one."""


def known_gpus() -> tuple[str, ...]:
    """The built-in names, in their order."""
    return CATALOGUE.names()


def gpu(name: str) -> Gpu:
    """The built-in GPU type of that name. Raises UnknownGpu."""
    return CATALOGUE.gpu(name)
