"""How far an estimated step time is usually off: mean absolute TPOT errors against measured vLLM, rounded up. Pure.

Apart: figures of a comparison with measurements (`make bench-step-time`), which change with it and with nothing else.
"""

from __future__ import annotations

from medley_planner.catalog import Gpu
from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape

_HOPPER = frozenset({"H100", "H200"})
_MEASURED_MIXTURES = _HOPPER | {"B200", "B300", "GB200", "GB300"}
_AMPERE_ADA = frozenset({"L4", "L40S", "A100-40", "A100-80"})
_BLACKWELL = frozenset({"B200", "B300", "GB200", "GB300", "RTX-PRO-6000"})
_PCIE_GB_PER_SECOND = 64.0
_GUESSED, _NEW_GENERATION, _MEASURED_ELSEWHERE, _SAME_GENERATION = 0.40, 0.26, 0.20, 0.15
_MIXTURE_MEASURED, _MIXTURE = 0.20, 0.45


def error_band(shape: ModelShape, layout: Layout) -> tuple[float, str]:
    """Expected relative error of TPOT, as a share, and why.

    Dense: 15 % on Hopper and Blackwell, which were measured, 20 % on Ampere and Ada (BLIS, a model of this kind that
    was trained on H100 too, publishes 13 to 16 % there). Several GPUs over PCIe: 26 % (22 % measured). Mixtures of
    experts: 20 % on Hopper and Blackwell, 45 % elsewhere (`make bench-truth`). A GPU of which an efficiency is a guess:
    40 %.
    """
    gpu = layout.gpu
    band, reason = _by_generation(gpu)
    if layout.gpus > 1 and gpu.link_between(layout.gpus) <= _PCIE_GB_PER_SECOND and band < _NEW_GENERATION:
        band, reason = _NEW_GENERATION, "several GPUs over PCIe"
    if shape.experts:
        mixture = _MIXTURE_MEASURED if gpu.name in _MEASURED_MIXTURES else _MIXTURE
        if mixture > band:
            band, reason = mixture, f"mixture of experts on {gpu.name}"
    return band, reason


def _by_generation(gpu: Gpu) -> tuple[float, str]:
    if gpu.name in _HOPPER:
        return _SAME_GENERATION, "Hopper, on which the overheads were fitted"
    if gpu.name in _BLACKWELL:
        return _SAME_GENERATION, "Blackwell, on which the overheads were fitted"
    if gpu.name in _AMPERE_ADA:
        return _MEASURED_ELSEWHERE, "overheads were fitted on Hopper"
    return (_GUESSED, gpu.note) if "guess" in gpu.note else (_NEW_GENERATION, "overheads were fitted on Hopper")
