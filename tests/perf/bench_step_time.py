"""`make bench-step-time`: estimated TTFT and TPOT against measured vLLM, by model, GPU, GPUs and precision.

Reads ../shared/data/vllm_measured_ttft_tpot.csv (or $MEDLEY_SHARED_DATA). Predictions are those of `medley estimate
--csv`. Rows that beat the physical limit were served from a prefix cache; they are dropped and counted. The baseline in
the same run is the bare roofline: the same model with nothing but peaks, without efficiencies and overheads. The
step overhead was fitted on the dense H100 group; to show what it does elsewhere within that group, a common offset is
fitted on one tensor parallel degree and the others are predicted with it. "three points" is what a profile of three
measurements does: in each group the factors on the step time are fitted on the rows of the lowest, the middle and the
highest batch, and the error is that of all other rows.
"""

from __future__ import annotations

import csv
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from medley_planner.capacity.estimate import EstimateRequest, estimate
from medley_planner.capacity.fit import Fit, fit_points
from medley_planner.capacity.plausible import beats_the_limit
from medley_planner.capacity.points import LoadPoint
from medley_planner.cli.estimate_rows import predict_row, row_question
from tests.perf.inputs import SHARED
from tests.perf.report import parser_of, write_json

MEASURED = SHARED / "vllm_measured_ttft_tpot.csv"
RANGE_RATIO = 0.8
"""InferenceMAX, from which the rows come, draws lengths from 80 to 100 % of the nominal ones."""

Group = tuple[str, str, int, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One measured row with its prediction; milliseconds."""

    group: Group
    dense: bool
    ttft: float
    tpot: float
    predicted_ttft: float
    predicted_tpot: float
    roofline_tpot: float
    question: EstimateRequest


@dataclass(frozen=True, slots=True)
class Measured:
    rows: tuple[Row, ...]
    impossible: tuple[str, ...]
    unpredicted: tuple[str, ...]


def measured(path: Path = MEASURED) -> Measured:
    rows, impossible, unpredicted = [], [], []
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            ttft, tpot = float(line["silicon_ttft_ms"]), float(line["silicon_tpot_ms"])
            answer = predict_row(line, range_ratio=RANGE_RATIO)
            if not answer["predicted_tpot_ms"]:
                unpredicted.append(f"{line['model_path']} {line['system']} TP{line['tp_size']}: {answer['note']}")
                continue
            asked = row_question(line, range_ratio=RANGE_RATIO)
            reason = beats_the_limit(
                asked.shape,
                asked.layout,
                prompt_tokens=asked.prompt_tokens,
                generation_tokens=asked.generation_tokens,
                concurrency=asked.concurrency or 1.0,
                ttft_seconds=ttft / 1e3,
                tpot_seconds=tpot / 1e3,
            )
            if reason:
                impossible.append(f"{line['model_path']} {line['system']} TP{line['tp_size']}: {reason}")
                continue
            shape, layout = asked.shape, asked.layout
            linear = shape.linear_parameters() if shape.experts else shape.dense_parameters()
            read = linear * layout.precision.weight_bytes
            context = asked.prompt_tokens + asked.generation_tokens / 2.0
            kv_bytes = shape.kv_bytes_per_token(element_bytes=layout.kv_format.element_bytes)
            cached = (asked.concurrency or 1.0) * context * kv_bytes
            bandwidth = layout.tensor_parallel * layout.gpu.memory_gb_per_second * 1e9
            rows.append(
                Row(
                    group=(shape.name, layout.gpu.name, layout.tensor_parallel, layout.precision.value),
                    dense=not shape.experts,
                    ttft=ttft,
                    tpot=tpot,
                    predicted_ttft=float(answer["predicted_ttft_ms"]),
                    predicted_tpot=float(answer["predicted_tpot_ms"]),
                    roofline_tpot=1e3 * (read + cached) / bandwidth,
                    question=asked,
                )
            )
    return Measured(tuple(rows), tuple(impossible), tuple(unpredicted))


def by_group(rows: tuple[Row, ...]) -> dict[Group, list[Row]]:
    groups: dict[Group, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.group].append(row)
    return dict(sorted(groups.items()))


def tpot_error(rows: list[Row], *, offset_ms: float = 0.0) -> float:
    """Mean absolute relative error of TPOT."""
    return statistics.fmean(abs((row.predicted_tpot + offset_ms) / row.tpot - 1.0) for row in rows)


def ttft_error(rows: list[Row]) -> float:
    return statistics.fmean(abs(row.predicted_ttft / row.ttft - 1.0) for row in rows)


def offset_ms(rows: list[Row]) -> float:
    """The median of what is missing from the predicted TPOT: a step overhead fitted on these rows."""
    return statistics.median(row.tpot - row.predicted_tpot for row in rows)


def three_points(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of the lowest, middle and highest batch, and all others; equal batches go by the prompt's length."""
    ordered = sorted(rows, key=lambda row: (row.question.concurrency or 0.0, row.question.prompt_tokens, row.tpot))
    chosen = [ordered[0], ordered[len(ordered) // 2], ordered[-1]]
    return chosen, [row for row in ordered if not any(row is one for one in chosen)]


def fitted_errors(rows: list[Row]) -> list[float]:
    """Absolute relative TPOT errors of the rows that a profile of three of them was not fitted on.

    Rows of a group that spread attention otherwise are another engine, with a separate profile.
    """
    errors: list[float] = []
    for groups in sorted({row.question.layout.attention_data_parallel for row in rows}):
        alike = [row for row in rows if row.question.layout.attention_data_parallel == groups]
        if len(alike) <= 3:
            continue
        chosen, others = three_points(alike)
        asked = chosen[0].question
        fit = fit_points(
            [_point(row) for row in chosen],
            shape=asked.shape,
            layout=asked.layout,
            token_budget=asked.token_budget,
            max_sequences=asked.max_sequences,
            first_wave=True,
            spread_experts=asked.spread_experts,
        )
        if not isinstance(fit, Fit):
            raise SystemExit(f"{rows[0].group}: {fit.reason}")
        for row in others:
            predicted = estimate(replace(row.question, factors=fit.factors)).latency.tpot_seconds
            errors.append(abs(1e3 * predicted / row.tpot - 1.0))
    return errors


def _point(row: Row) -> LoadPoint:
    asked = row.question
    return LoadPoint(
        prompt_tokens=asked.prompt_tokens,
        generation_tokens=asked.generation_tokens,
        concurrency=asked.concurrency,
        rate_rps=None,
        ttft_seconds=row.ttft / 1e3,
        tpot_seconds=row.tpot / 1e3,
        requests=1,
    )


def main() -> int:
    args = parser_of(__doc__).parse_args()
    if not MEASURED.exists():
        raise SystemExit(f"no measured data at {MEASURED}; set MEDLEY_SHARED_DATA to the folder that has it")
    data = measured()
    table = Table(title="mean absolute error against measured vLLM", title_justify="left")
    for heading in (
        "model",
        "GPU",
        "GPUs",
        "precision",
        "rows",
        "TPOT",
        "bias",
        "TTFT",
        "bare roofline",
        "three points",
    ):
        table.add_column(heading)
    results = []
    for group, rows in by_group(data.rows).items():
        bias = statistics.fmean(row.predicted_tpot / row.tpot - 1.0 for row in rows)
        bare = statistics.fmean(abs(row.roofline_tpot / row.tpot - 1.0) for row in rows)
        fitted_on_three = fitted_errors(rows)
        three = statistics.fmean(fitted_on_three) if fitted_on_three else None
        figures = {"tpot": tpot_error(rows), "bias": bias, "ttft": ttft_error(rows), "bare_tpot": bare}
        results.append({"group": group, "rows": len(rows), **figures, "three_points_tpot": three})
        told = (f"{figures['tpot']:.1%}", f"{bias:+.1%}", f"{figures['ttft']:.1%}", f"{bare:.1%}")
        table.add_row(*map(str, group), str(len(rows)), *told, "-" if three is None else f"{three:.1%}")
    console = Console(width=140)
    console.print(table)
    hopper = {g: rows for g, rows in by_group(data.rows).items() if rows[0].dense and g[1] in ("H100", "H200")}
    for fitted, rows in hopper.items():
        offset = offset_ms(rows)
        others = [row for group, some in hopper.items() if group != fitted for row in some]
        if others:
            error = tpot_error(others, offset_ms=offset)
            console.print(
                f"step overhead {offset:+.2f} ms fitted on {fitted}: TPOT {error:.1%} on the other Hopper rows"
            )
    console.print(f"{len(data.impossible)} rows beat the physical limit and were dropped")
    console.print(f"{len(data.unpredicted)} rows were not predicted: {sorted(set(data.unpredicted))}")
    write_json(args.json, {"groups": results, "impossible": data.impossible, "unpredicted": data.unpredicted})
    return 0


if __name__ == "__main__":
    sys.exit(main())
