"""The number formats that a quantized checkpoint's own weights have. Values only.

Apart: shapes hold it, the reading of quantization_config makes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from medley_planner.shapes.precision import Precision


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`method` as quantization_config names it, such as fp8 or compressed-tensors.

    `precision`: what the checkpoint is called by: the format of its experts, or of its linear weights where it has no
    experts. `dense_precision`: the format of most weights that every token passes. `dense_bytes` and `expert_bytes`:
    bytes of a weight of either, scales included, in the mean, with what is left out at its own width. `block`: side of
    the square of weights that share a scale, which no shard may cut; `group`: weights in a row that do; 0: none.
    `splits`: quantized weights and the size that tensor parallelism divides, each once.
    """

    method: str
    precision: Precision
    dense_precision: Precision
    dense_bytes: float
    expert_bytes: float
    block: int = 0
    group: int = 0
    splits: tuple[tuple[str, int], ...] = ()

    @property
    def words(self) -> str:
        """For people, such as "FP8 (fp8)"."""
        return f"{self.precision} ({self.method})"
