"""The common inputs of benchmarks: the folder of published measurements, and an 8B model on one GPU."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from medley_planner.capacity import MemoryFit, StepFactors, StepTime, memory_fit
from medley_planner.capacity.speed import UNCORRECTED
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape

SHARED = Path(os.environ.get("MEDLEY_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
AZURE = SHARED / "AzureLLMInferenceTrace_conv.csv"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def azure_sizes() -> list[tuple[int, int]]:
    """(prompt, generation) tokens of the Azure conversation trace. Raises FileNotFoundError where it is not there."""
    with AZURE.open(newline="", encoding="utf-8") as file:
        return [(int(row["ContextTokens"]), int(row["GeneratedTokens"])) for row in csv.DictReader(file)]


def fit_of(gpu_name: str, *, max_model_len: int) -> MemoryFit:
    """Memory of a replica of `MODEL` in BF16 on one GPU."""
    return memory_fit(bundled_shape(MODEL), Layout(gpu(gpu_name)), max_model_len=max_model_len)


def step_of(gpu_name: str, factors: StepFactors = UNCORRECTED) -> StepTime:
    """Step time of `MODEL` in BF16 on one GPU: the data sheet's, multiplied by `factors`."""
    return StepTime(bundled_shape(MODEL), Layout(gpu(gpu_name)), factors=factors)
