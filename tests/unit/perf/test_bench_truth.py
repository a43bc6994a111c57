"""The page of accuracy says what the measured runs give, and the README names what is worse than 15 %."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.perf.bench_truth import PAGE
from tests.perf.truth.chart import bars
from tests.perf.truth.closed_loop import VLLM, load_tests
from tests.perf.truth.page import page
from tests.perf.truth.scores import Figure, Score, closed_loop_scores, limits, shows_prefill

README = Path(__file__).resolve().parents[3] / "README.md"
needs_data = pytest.mark.skipif(not VLLM[0].exists(), reason=f"no measured data at {VLLM[0]}")
POINTS = 2.0
"""Percentage points by which a figure of the page may differ from today's. More: `make bench-truth` writes it anew."""


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?\d+\.\d+(?= %|,)", text)]


def rows_of(text: str) -> dict[tuple[str, ...], list[float]]:
    """The rows of the table of the closed loop: model, GPU, format, engine and rows, with their figures."""
    section = text.partition("## Closed loop")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if "%" in line]
    return {tuple(row[:5]): numbers(", ".join(row[5:]) + ",") for row in cells if len(row) == 7 and row[0] != "model"}


@needs_data
def test_the_page_says_what_the_data_give() -> None:
    found = load_tests()
    scores = closed_loop_scores(found.rows)
    told = rows_of(PAGE.read_text(encoding="utf-8"))
    for score in scores:
        figures = [figure for figure in score.figures.values() if figure is not None]
        key = (score.model, score.gpu, score.precision, score.engine, str(score.runs))
        assert told[key] == pytest.approx([100 * f for it in figures for f in (it.bias, it.error)], abs=POINTS), key
    assert len(told) == len(scores) > 20


@needs_data
def test_no_group_of_2026_is_biased_by_more_than_10_percent_nor_another_large_one_by_15() -> None:
    groups: dict[tuple[str, ...], list[tuple[float, bool]]] = {}
    for row in load_tests().rows:
        version = re.match(r"0\.(\d+)", row.version)
        recent = version is None or int(version[1]) >= 14
        groups.setdefault((*row.group, str(recent)), []).append((row.tpot_error, recent))
    for group, errors in groups.items():
        bias = sum(error for error, _ in errors) / len(errors)
        # "unknown" versions are of 2025 and 2026; they are held to the tighter bound. One row is no group.
        if errors[0][1]:
            assert abs(bias) <= 0.10, (group, bias)
        elif len(errors) >= 10:
            assert abs(bias) <= 0.15, (group, bias)


@needs_data
def test_ttft_of_long_prompts_at_low_batch_is_not_biased_by_more_than_15_percent() -> None:
    groups: dict[tuple[str, ...], list[float]] = {}
    for row in load_tests().rows:
        error = row.ttft_error
        if error is not None and shows_prefill(row) and not row.question.prefix_hit_rate:
            groups.setdefault(row.group, []).append(error)
    biases = {group: sum(errors) / len(errors) for group, errors in groups.items()}
    assert len(biases) > 12
    assert {group: bias for group, bias in biases.items() if abs(bias) > 0.15} == {}


@needs_data
def test_a_batch_that_is_sent_at_once_waits_for_the_cache_that_its_source_tells_of() -> None:
    rows = [row for row in load_tests().rows if row.group[0] == "Llama-3.1-405B-FP8"]
    assert len(rows) == 7
    assert [row.tpot_error for row in rows] == pytest.approx([0.0] * 7, abs=0.1)


def test_the_readme_names_what_is_worse_than_15_percent() -> None:
    readme = README.read_text(encoding="utf-8")
    listed = PAGE.read_text(encoding="utf-8").partition("## Worse than 15%")[2].partition("\n## ")[0]
    models = {line[2:].partition(" on ")[0] for line in listed.splitlines() if line.startswith("- ")}
    assert models
    assert [model for model in sorted(models) if model not in readme and not model.startswith("all")] == []


def test_rows_that_are_faster_with_more_clients_are_left_out(tmp_path: Path) -> None:
    head = (
        "backend,backend_version,model_path,system,precision,isl,osl,batch_size,tp_size,attention_dp_size,moe_tp_size,"
        "moe_ep_size,silicon_ttft_ms,silicon_tpot_ms"
    )
    common = "vllm,0.19.0,meta-llama/Llama-3.1-8B-Instruct,h100_sxm,bf16,1024,1024"
    rows = [f"{common},{batch},1,1,1,1,60,{tpot}" for batch, tpot in ((4, 8.0), (8, 8.1), (16, 12.0), (32, 9.9))]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([head, *rows, rows[0]]), encoding="utf-8")
    found = load_tests((path,))
    assert [row.question.concurrency for row in found.rows] == [4.0, 8.0]
    assert found.left_out == {"faster with more clients": 2, "the same figures a second time": 1}
    assert found.rows[0].version == "0.19.0"


def test_limits_are_what_is_off_by_more_than_15_percent() -> None:
    good, bad = Figure.of([0.1, -0.1]), Figure.of([0.3, -0.1, None])
    assert good == Figure(0.0, 0.1)
    assert bad is not None
    assert bad.error == pytest.approx(0.2)
    assert Figure.of([None]) is None
    score = Score("m", "H100", "FP8", "vllm 1", 2, {"TPOT": good, "TTFT": bad, "E2E": None})
    assert limits([score]) == [(score, "TTFT")]
    text = page(
        open_loop=[],
        closed_loop=[score],
        others=[],
        durations={"H100": 1.05},
        short={"H100": 0.9},
        memory=[("m", 0.98)],
        left_out={"x": 3},
    )
    assert "| m | H100 | FP8 | vllm 1 | 2 | +0.0, 10.0 % | +10.0, 20.0 % |" in text
    assert "- m on H100 in FP8 (vllm 1): TTFT 20% (2 runs)" in text


def test_bars_are_as_long_as_their_shares() -> None:
    drawn = bars("title", [("a & b", 0.1), ("c", 0.4)], most=0.2, marks=(0.1,))
    widths = [float(width) for width in re.findall(r'width="(\d+)" height="14"', drawn)]
    assert widths == [195.0, 390.0], "cut at the most"
    assert "a &amp; b" in drawn
    assert drawn.count("<line") == 1
