"""Number formats of weights and how many bytes each takes. Values only.

Apart: shapes, layouts and checkpoints all speak of formats, and none of them is the others' owner.
"""

from __future__ import annotations

from enum import StrEnum

BF16_BYTES = 2.0


class Precision(StrEnum):
    """Number format of the linear weights. Embeddings and head stay BF16 (vLLM's default).

    FP4 stands for NVFP4 and MXFP4, INT4 for weight-only integers of 4 bits or fewer in groups of 32 or 128, INT8 for
    those of more.
    """

    BF16 = "BF16"
    FP8 = "FP8"
    FP4 = "FP4"
    INT4 = "INT4"
    INT8 = "INT8"

    @property
    def weight_bytes(self) -> float:
        """Bytes of a weight, its share of the group's scale included."""
        return _WEIGHT_BYTES[self]

    @property
    def four_bit(self) -> bool:
        return self in (Precision.FP4, Precision.INT4)


# NVFP4 has an 8-bit scale for each 16 weights, INT4 a 16-bit scale for each 32 (compressed-tensors as Kimi uses it).
_WEIGHT_BYTES = {
    Precision.BF16: BF16_BYTES,
    Precision.FP8: 1.0,
    Precision.FP4: 0.5625,
    Precision.INT4: 0.5625,
    Precision.INT8: 1.0,
}
