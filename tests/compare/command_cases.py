"""The JSON output of commands: `medley solve` for documents, with their problem and plan, and `medley estimate` for a
grid of models, GPUs, degrees and precisions. Beside it, rows of capacities found bucket by bucket."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .manifests import DEGREES, GPUS, MODELS
from .names import command, find
from .planner_cases import DEADLINE_SECONDS, Case, planned

_LOADS = (
    ("--input", "500", "--output", "150", "--rate", "1.5"),
    ("--input", "4000", "--output", "300", "--concurrency", "16", "--kv-precision", "FP8", "--token-budget", "2048"),
)
_TARGETS = ("--slo-ttft", "2s", "--slo-tpot", "60ms")


def command_cases(inputs: str) -> Iterator[Case]:
    for file in sorted(Path(inputs, "solve").glob("*.json")):
        yield f"solve {file.name}", partial(_solved, file)
    for model in MODELS:
        for gpu in GPUS:
            yield f"estimate {model} {gpu}", partial(_estimates, model, gpu)
    for model in MODELS[:2]:
        for gpu in GPUS:
            yield (
                f"row {model} {gpu}",
                partial(_capacities, model, gpu),
            )


def _solved(file: Path) -> Any:
    document = json.loads(file.read_text(encoding="utf-8"))
    parse = find("parse_instance" if "gpu" in document else "parse_fleet")
    problem = parse(document).problem
    printed = _printed("solve", str(file), "-o", "json", "--deadline", f"{DEADLINE_SECONDS:g}")
    return {"problem": problem, "plan": planned(problem), "printed": printed}


def _capacities(model: str, gpu: str) -> Any:
    row = find("grid_capacity_rps", package="tests")
    return [row(model, gpu, degree, 5.0, 0.1) for degree in DEGREES]


def _estimates(model: str, gpu: str) -> Any:
    return {
        f"{degree} {precision} {number}": _printed(
            "estimate", "--model", model, "--gpu", gpu, "--tp", str(degree), "--precision", precision,
            *load, *_TARGETS, "-o", "json",
        )
        for degree in DEGREES
        for precision in ("BF16", "FP8", "INT4")
        for number, load in enumerate(_LOADS)
    }  # fmt: skip


def _printed(*words: str) -> dict[str, Any]:
    """The exit status of `medley` and the JSON that it printed, None where it printed nothing."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = command()(list(words))
        except SystemExit as left:
            status = left.code
    return {"status": status, "printed": json.loads(out.getvalue()) if out.getvalue() else None}
