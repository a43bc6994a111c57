"""Model shapes: what a model's sizes say about its weights, its KV cache and its arithmetic."""

from medley_planner.shapes.bundled import UnknownModel, bundled_models, bundled_shape, model_id
from medley_planner.shapes.config import shape_from_config
from medley_planner.shapes.precision import BF16_BYTES, Precision
from medley_planner.shapes.reader import BadConfig
from medley_planner.shapes.shape import ModelShape

__all__ = [
    "BF16_BYTES",
    "BadConfig",
    "ModelShape",
    "Precision",
    "UnknownModel",
    "bundled_models",
    "bundled_shape",
    "model_id",
    "shape_from_config",
]
