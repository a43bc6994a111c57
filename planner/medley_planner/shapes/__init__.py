"""Model shapes: what a model's sizes say about its weights, its KV cache and its arithmetic."""

from medley_planner.shapes.bundled import UnknownModel, bundled_models, bundled_shape, model_id
from medley_planner.shapes.config import shape_from_config
from medley_planner.shapes.declared import BYTES_APART, BadSizes, DeclaredModel, declared_shape
from medley_planner.shapes.precision import BF16_BYTES, Precision
from medley_planner.shapes.reader import BadConfig
from medley_planner.shapes.shape import ModelShape
from medley_planner.shapes.weight_files import (
    LENGTH_BYTES,
    BadWeights,
    Tensor,
    WeightFiles,
    files_of_index,
    header_bytes,
    tensors_of,
    weights_of,
)

__all__ = [
    "BF16_BYTES",
    "BYTES_APART",
    "LENGTH_BYTES",
    "BadConfig",
    "BadSizes",
    "BadWeights",
    "DeclaredModel",
    "ModelShape",
    "Precision",
    "Tensor",
    "UnknownModel",
    "WeightFiles",
    "bundled_models",
    "bundled_shape",
    "declared_shape",
    "files_of_index",
    "header_bytes",
    "model_id",
    "shape_from_config",
    "tensors_of",
    "weights_of",
]
