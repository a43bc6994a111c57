"""GPU types: what their data sheets say, and which part of it engines reach."""

from medley_planner.catalog.data_sheet import (
    GEMM_LOW_PERCENT,
    GEMM_PERCENT,
    KV_PERCENT,
    MEMORY_PERCENT,
    BadDataSheet,
    gpu_of_sheet,
)
from medley_planner.catalog.gpu import Gpu, Vendor
from medley_planner.catalog.lookup import CATALOGUE, Catalogue, UnknownGpu, gpu, is_shared, known_gpus

__all__ = [
    "CATALOGUE",
    "GEMM_LOW_PERCENT",
    "GEMM_PERCENT",
    "KV_PERCENT",
    "MEMORY_PERCENT",
    "BadDataSheet",
    "Catalogue",
    "Gpu",
    "UnknownGpu",
    "Vendor",
    "gpu",
    "gpu_of_sheet",
    "is_shared",
    "known_gpus",
]
