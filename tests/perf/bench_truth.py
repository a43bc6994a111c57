"""`make bench-truth`: scores every set of measured runs and writes docs/accuracy.md with its chart.

Reads ../shared/data (or $MEDLEY_SHARED_DATA): load tests of vLLM and of other engines, open-loop runs, runs of requests
that all come at once. One process, no profile, no calibration.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from medley_planner.capacity import memory_fit
from medley_planner.catalog import gpu
from medley_planner.layout import Layout
from medley_planner.shapes import bundled_shape
from tests.perf.report import parser_of, write_json
from tests.perf.truth.chart import bars
from tests.perf.truth.closed_loop import OTHERS, VLLM, load_tests
from tests.perf.truth.open_loop import LEAST_PROMPT, open_loops, saturations
from tests.perf.truth.page import page
from tests.perf.truth.scores import WORSE, closed_loop_scores, median_ratios, open_loop_scores

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE, CHART = DOCS / "accuracy.md", DOCS / "accuracy.svg"
# GiB of KV cache in start-up logs of vLLM (gateway-api-inference-extension, pull request 550).
CACHES = (("meta-llama/Llama-2-7b-hf", "H100", 56.18),)


def scored() -> dict[str, Any]:
    """The arguments of `page`. Raises FileNotFoundError where the data are not there."""
    vllm, others = load_tests(VLLM), load_tests(OTHERS)
    runs = saturations()
    return {
        "open_loop": open_loop_scores(open_loops()),
        "closed_loop": closed_loop_scores(vllm.rows),
        "others": closed_loop_scores(others.rows),
        "durations": median_ratios([run for run in runs if run.prompt_tokens >= LEAST_PROMPT]),
        "short": median_ratios([run for run in runs if run.prompt_tokens < LEAST_PROMPT]),
        "memory": [(f"{model} on {name}", _cache_ratio(model, name, gib)) for model, name, gib in CACHES],
        "left_out": Counter(vllm.left_out) + Counter(others.left_out),
    }


def _cache_ratio(model: str, name: str, gib: float) -> float:
    shape = bundled_shape(model)
    fit = memory_fit(shape, Layout(gpu(name)), max_model_len=shape.max_position or 4096)
    return fit.kv_tokens * shape.kv_bytes_per_token() / (gib * 2**30)


def chart(found: dict[str, Any]) -> str:
    rows = [
        (f"{s.model}, {s.gpu}, {s.precision}, {s.engine}", s.figures["TPOT"].error)
        for s in found["closed_loop"]
        if s.runs >= 5
    ]
    return bars("Mean absolute error of TPOT by group, vLLM", rows, most=0.45, marks=(0.05, 0.10, WORSE, 0.30))


def main() -> int:
    args = parser_of(__doc__).parse_args()
    if not VLLM[0].exists():
        raise SystemExit(f"no measured data at {VLLM[0]}; set MEDLEY_SHARED_DATA to the folder that has it")
    found = scored()
    PAGE.write_text(page(**found), encoding="utf-8")
    CHART.write_text(chart(found), encoding="utf-8")
    Console(width=160).print(PAGE.read_text(encoding="utf-8"), markup=False)
    told = {name: [asdict(score) for score in found[name]] for name in ("open_loop", "closed_loop", "others")}
    write_json(args.json, {**told, "durations": found["durations"], "left_out": found["left_out"]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
