"""docs/accuracy.md from scores: what is predicted against what was measured, and what others publish. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.perf.truth.scores import FEW_CLIENTS, WORSE, Figure, Score, limits

RIVALS = (
    ("BLIS (inference-sim)", "10.9 %", "the same open-loop runs; its own held-out runs: E2E 6.7 %, TTFT 17.6 %"),
    ("AIConfigurator", "14.8 %", "the same open-loop runs, as BLIS's authors publish it"),
)
_HEAD = """# How accurate predictions are

`make bench-truth` writes this page. It predicts measured runs of others from data sheets alone, without a profile and
without calibration, and compares. Errors are relative; "bias" is the mean error, above 0 where too much time is
predicted, and "error" the mean absolute one. The figures of a step time are the same for all models and GPUs, but they
were found on these runs (closed loop of vLLM, and ITL of the open loop), so the errors are those of a fit.

Figures that were found without a pair of model and GPU predict it about as well: each of 17 pairs of the closed loop
was left out in turn and the seven figures of prompts and experts (launches, attention, copies, tokens in front of the
engine, what experts reach by format) sought anew on all others, beginning at those that are used. The mean absolute
error of TPOT rose by 0.5 points for MiniMax-M2.5 on B300 in FP8 (7.9 to 8.4 %) and by at most 0.2 for all others. The
bias of TTFT of long prompts moved by 5 points for MiniMax-M2.5 on B300 in FP8 and gpt-oss-120b on B200 in FP4 (to 18
and 17 % in size), by 4 for 70B on H100 and Kimi-K2.5 on B200 in INT4 (to 12 and 5 %) and by at most 3 for all others.
When all figures were sought anew, before launches were among them, TPOT of 70B on B200 in FP8 rose by 1.6 points and
that of all others by less.
"""


def page(
    *,
    open_loop: Sequence[Score],
    closed_loop: Sequence[Score],
    others: Sequence[Score],
    durations: Mapping[str, float],
    short: Mapping[str, float],
    memory: Sequence[tuple[str, float]],
    left_out: Mapping[str, int],
) -> str:
    """`durations`: simulated over measured, the median by GPU; `short`: of prompts that are too short to count.
    `memory`: predicted over measured size of the KV cache. `left_out`: rows by reason."""
    parts = [_HEAD, _open_loop(open_loop), _durations(durations, short), _closed_loop(closed_loop)]
    parts += [_memory(memory), _other_engines(others), _limits([*open_loop, *closed_loop]), _not_scored(left_out)]
    return "\n".join(parts)


def _open_loop(scores: Sequence[Score]) -> str:
    names = ("ITL", "TTFT", "TTFT p99", "E2E")
    rows = [(s.model, s.gpu, str(s.runs), *(_told(s.figures[name]) for name in names)) for s in scores]
    table = _table(("model", "GPU", "runs", *(f"{name}: bias, error" for name in names)), rows)
    rivals = _table(("published elsewhere", "ITL error", "on"), RIVALS)
    return (
        "## Open loop: vLLM 0.15, constant arrivals\nReplayed in the [engine simulator](engine.md) with a prefix hit "
        f"rate of 0.97: at most 45 prompts repeat.\n\n{table}\n{rivals}\n"
        "The tail of the mixture's TTFT is that of engines that had not served before: they compile the kernels of "
        "experts when the first batch of a size comes (vllm-project/vllm#55268), and stand still meanwhile. Five such "
        "runs at 8 requests per second have a p99 of 177 to 847 ms, so that no figure is within 30 % of all. Of the "
        "later stages, those that are far off copied their cache to the CPU at 20 requests per second.\n"
    )


def _durations(durations: Mapping[str, float], short: Mapping[str, float]) -> str:
    rows = [(name, f"{ratio:.2f}", f"{short[name]:.2f}") for name, ratio in durations.items()]
    table = _table(("GPU", "simulated / measured, median", "prompts of 128 tokens"), rows)
    return (
        "## Saturation: vLLM 0.11, all requests at once\nThe duration until the last token. Runs of 1000 prompts of "
        "128 tokens with 4 generated ones, which measure how fast the client sends, are shown apart. gpt-oss on A100 "
        "took 1.6 to 1.8 times as long as predicted for prompts of 32k: before Hopper, attention with sinks runs by "
        "Triton's kernels, which is not predicted.\n\n" + table
    )


def _closed_loop(scores: Sequence[Score]) -> str:
    rows = [
        (s.model, s.gpu, s.precision, s.engine, str(s.runs), *(_told(s.figures[name]) for name in ("TPOT", "TTFT")))
        for s in scores
    ]
    table = _table(("model", "GPU", "format", "engine", "rows", "TPOT: bias, error", "TTFT: bias, error"), rows)
    return (
        "## Closed loop: a fixed number of clients, vLLM\nAs `medley estimate --csv` predicts them. TTFT is that of "
        f"prompts of 2k and more with at most {FEW_CLIENTS:g} clients.\n\n"
        "- Rows of 8B in FP8 on H200 may have had cached prompts: they are predicted with a prefix hit rate of 0.8, "
        "without which they would be 91 % too slow.\n"
        "- Those of 405B are batches sent at once, replayed in the simulator with the checkpoint and the cache of "
        "91,680 tokens that their source names.\n"
        "- Qwen3-235B on H200: requests to groups of data parallel attention that generate long waited up to 4 s for "
        "a place, which is not predicted. Without groups the error of TTFT is 9 %.\n"
        "- MiniMax-M2.5 on B200 with vLLM 0.17.0: its recipe switched the fused kernels of FP8 experts off "
        "(SemiAnalysisAI/InferenceX#947), which later versions run by and which are predicted.\n"
        "- Kimi-K2.5 on B200 in FP4 contradicts itself: on 4 GPUs with 4 clients, first tokens of prompts of 1k took "
        "82 ms in one run, 170 and 177 ms in others. They are too short to be scored here.\n\n"
        f"![TPOT errors by group](accuracy.svg)\n\n{table}"
    )


def _other_engines(scores: Sequence[Score]) -> str:
    rows = [
        (s.model, s.gpu, s.precision, s.engine, str(s.runs), _told(s.figures["TPOT"])) for s in scores if s.runs >= 10
    ]
    table = _table(("model", "GPU", "format", "engine", "rows", "TPOT: bias, error"), rows)
    return (
        "## Other engines, predicted as if they were vLLM\nSGLang and TensorRT-LLM, groups of 10 rows and more. Many "
        f"rows use wide expert parallelism or speculation, which are not predicted.\n\n{table}"
    )


def _memory(rows: Sequence[tuple[str, float]]) -> str:
    table = _table(("engine", "predicted / measured"), [(name, f"{ratio:.2f}") for name, ratio in rows])
    return f"## Memory: the size of the KV cache\n{table}"


def _limits(scores: Sequence[Score]) -> str:
    found = [
        f"- {score.name}: {name} {figure.error:.0%} ({score.runs} runs)"
        for score, name in limits(scores)
        if (figure := score.figures[name]) is not None
    ]
    return f"## Worse than {WORSE:.0%}\n" + "\n".join(found) + "\n"


def _not_scored(left_out: Mapping[str, int]) -> str:
    rows = [(reason, str(count)) for reason, count in sorted(left_out.items(), key=lambda item: -item[1])]
    return (
        "## Not scored\n" + _table(("rows that are left out because of", "rows"), rows) + "\nPrefill and decode apart "
        "(disaggregated.csv, pd_ratio_*.csv) are not planned, and so not predicted.\n"
    )


def _told(figure: Figure | None) -> str:
    return "-" if figure is None else f"{100 * figure.bias:+.1f}, {100 * figure.error:.1f} %"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines) + "\n"
