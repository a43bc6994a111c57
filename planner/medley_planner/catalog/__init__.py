"""GPU types: what their data sheets say, and which part of it engines reach."""

from medley_planner.catalog.gpu import Gpu
from medley_planner.catalog.lookup import UnknownGpu, gpu, known_gpus

__all__ = ["Gpu", "UnknownGpu", "gpu", "known_gpus"]
