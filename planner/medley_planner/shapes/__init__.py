"""Model shapes: what a transformer's sizes say about its weights, its KV cache and its arithmetic."""

from medley_planner.shapes.bundled import UnknownModel, bundled_models, bundled_shape, model_id
from medley_planner.shapes.config import BadConfig, shape_from_config
from medley_planner.shapes.shape import LatentAttention, ModelShape, Precision

__all__ = [
    "BadConfig",
    "LatentAttention",
    "ModelShape",
    "Precision",
    "UnknownModel",
    "bundled_models",
    "bundled_shape",
    "model_id",
    "shape_from_config",
]
