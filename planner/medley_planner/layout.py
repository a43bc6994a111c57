"""The identity of a replica, as one value: step times, memory, capacity tables, calibration and profiles key by it, so
that nothing pools or compares unlike engines.

A further way in which replicas differ (pipeline degree, nodes, role, power level, build) is one more field here, with
the default that holds for all engines known so far: facts, records, metric labels, table keys and look-ups follow from
the fields. How it is chosen and how it is read back from an engine's flags is an `Axis` of `variants.axes`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from typing import Any

from medley_planner.catalog import Gpu
from medley_planner.catalog import gpu as gpu_of
from medley_planner.shapes import Precision

UNCAPPED_PERCENT = 100
MOST_DEGREE = 10_000
"""More GPUs or groups than any replica has."""


class EngineKind(StrEnum):
    """The inference server. What differs between servers stands in tables that are keyed by it."""

    VLLM = "vLLM"


class KvFormat(StrEnum):
    """Number format of the keys and values in the cache."""

    BF16 = "BF16"
    FP8 = "FP8"

    @property
    def element_bytes(self) -> float:
        return 1.0 if self is KvFormat.FP8 else 2.0


@dataclass(frozen=True, slots=True)
class Layout:
    """How one replica of a model is run, but for the limits on its batches.

    `attention_data_parallel`: groups of the replica's GPUs that each hold the whole attention and serve their own
    sequences, with the experts spread over all GPUs. `engine_version` is as the engine's image has it; "" where it does
    not matter. `clock_percent`: the highest clock that the GPUs are held to, of the highest one that they have; 100: no
    cap. A cap comes and goes while the engine runs, so that no flag and no name of an object has it.
    """

    gpu: Gpu
    tensor_parallel: int = 1
    precision: Precision = Precision.BF16
    kv_format: KvFormat = KvFormat.BF16
    attention_data_parallel: int = 1
    engine: EngineKind = EngineKind.VLLM
    engine_version: str = ""
    clock_percent: int = UNCAPPED_PERCENT

    @property
    def gpus(self) -> int:
        """GPUs that one replica takes: the product of the degrees, which is that of tensor parallelism alone as long as
        no other degree takes further GPUs."""
        return self.tensor_parallel

    @property
    def hardware(self) -> str:
        """For people, such as "2 x H100"."""
        return f"{self.gpus} x {self.gpu.name}"

    @property
    def words(self) -> str:
        """For people: GPUs and number formats."""
        cache = f", {self.kv_format} KV cache" if self.kv_format is not KvFormat.BF16 else ""
        capped = f", clock at {self.clock_percent} %" if self.clock_percent < UNCAPPED_PERCENT else ""
        return f"{self.hardware}, {self.precision}{cache}{capped}"

    @property
    def facts(self) -> dict[str, str]:
        """All fields as text, by name; `from_facts` reads them. Of GPUs of the catalogue, equal facts are equal
        layouts."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: value.name if isinstance(value, Gpu) else str(value) for name, value in values.items()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> Layout:
        """A field that is missing has its default: the facts were written before there was such a field.

        Raises UnknownGpu, and ValueError for an impossible value and for a field that is not known here, because it may
        tell unlike engines apart.
        """
        values: dict[str, Any] = {"gpu": gpu_of(facts.get("gpu", ""))}
        known = {part.name: type(part.default) for part in fields(cls) if part.default is not MISSING}
        for name, text in facts.items():
            if name == "gpu":
                continue
            if name not in known:
                raise ValueError(f"{name} {text!r:.40} is not a field of a layout; use {', '.join(known)}")
            values[name] = known[name](text)
            if isinstance(values[name], int) and not 1 <= values[name] <= MOST_DEGREE:
                raise ValueError(f"{name} is {text!r:.40}; give a whole number from 1 to {MOST_DEGREE}")
        return cls(**values)

    def __hash__(self) -> int:
        """Hash of the fields that tell most layouts apart: a whole data sheet takes ten times as long, and rounds hash
        thousands."""
        told = (self.tensor_parallel, self.precision, self.kv_format, self.engine_version, self.clock_percent)
        return hash((self.gpu.name, *told))

    def __lt__(self, other: Layout) -> bool:
        """A stable order, by the facts."""
        return tuple(self.facts.values()) < tuple(other.facts.values())
