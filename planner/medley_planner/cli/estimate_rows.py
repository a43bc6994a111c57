"""Predicts the rows of a table of load tests, each a fixed concurrency, as `medley estimate --csv` prints them. Pure.

Columns that are read: model_path, system, precision, isl, osl, batch_size, tp_size, pp_size, attention_dp_size,
backend and backend_version.
An empty precision is the checkpoint's own; an empty number, or 0, of another way to share the GPUs is none.
batch_size is the concurrency of one attention-data-parallel group. tp_size is the number of GPUs; where
attention_dp_size is empty or does not divide it, it is that of one group's GPUs, and all are moe_tp_size x moe_ep_size.
isl and osl are the longest lengths of the load test, taken as drawn evenly from a share of them upwards. Measured
columns are never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.capacity.estimate import EstimateRequest, estimate
from medley_planner.catalog import CATALOGUE, Catalogue, Gpu
from medley_planner.layout import KvFormat, Layout
from medley_planner.shapes import ModelShape, Precision, bundled_shape

ADDED = ("predicted_ttft_ms", "predicted_tpot_ms", "note")
_PRECISIONS = {
    "bf16": Precision.BF16, "bfloat16": Precision.BF16, "fp16": Precision.BF16, "float16": Precision.BF16,
    "fp8": Precision.FP8, "fp8_block": Precision.FP8, "fp4": Precision.FP4, "nvfp4": Precision.FP4,
    "mxfp4": Precision.FP4, "w4a16_mxfp4": Precision.FP4, "int4": Precision.INT4, "int4_wo": Precision.INT4,
}  # fmt: skip
# The measured tests of FP8 and NVFP4 checkpoints are taken to run with an FP8 cache except on H100, where the 70B model
# on two GPUs is seen to queue as it would with a BF16 cache only.
_FP8_CACHE = frozenset({"H200", "B200", "B300", "GB200", "GB300"})
_SYSTEM_SUFFIXES = ("_sxm", "_server", "_pcie")
_NODE_GPUS = 8
"""GPUs of a node, as all boards have it whose link does not join several nodes."""
_RACK_LINKS = ("GB200", "GB300")
"""GPUs whose link joins the nodes of a rack."""


class BadRow(BadInput):
    """The row lacks a value or has one that cannot be used; `field` is the column."""


def predict_row(
    row: Mapping[str, str | None], *, range_ratio: float, catalogue: Catalogue = CATALOGUE
) -> dict[str, str]:
    """The added columns of one row; where it cannot be predicted they are empty and the note says why."""
    try:
        question = row_question(row, range_ratio=range_ratio, catalogue=catalogue)
        answer = estimate(question)
    except BadInput as error:
        return dict(zip(ADDED, ("", "", str(error)), strict=True))
    latency = answer.latency
    note = f"estimated, TPOT +-{answer.band:.0%} ({answer.band_reason})"
    if question.concurrency is not None and latency.running < question.concurrency:
        note += f"; KV cache or engine limits hold the batch at {latency.running:.0f}"
    note += "".join(f"; {doubt}" for doubt in _doubts(row, question))
    values = (f"{latency.ttft_seconds * 1e3:.3f}", f"{latency.tpot_seconds * 1e3:.4f}", note)
    return dict(zip(ADDED, values, strict=True))


def row_question(
    row: Mapping[str, str | None], *, range_ratio: float, catalogue: Catalogue = CATALOGUE
) -> EstimateRequest:
    """The question of the row. Raises BadRow, UnknownModel, UnknownGpu."""
    mean = (1.0 + range_ratio) / 2.0
    shape = bundled_shape(_text(row, "model_path"), config="give a row of a bundled model")
    card = catalogue.gpu(_gpu_name(_text(row, "system")))
    precision = _precision((row.get("precision") or "").strip(), shape)
    gpus = _count(row, "tp_size")
    groups = _count(row, "attention_dp_size", default=1)
    spread = _count(row, "moe_tp_size", default=1) * _count(row, "moe_ep_size", default=1)
    if spread > gpus and (gpus % groups or not _given(row, "attention_dp_size")):
        gpus, groups = spread, spread // gpus
    concurrency = _count(row, "batch_size") * groups
    if _count(row, "pp_size", default=1) > 1:
        raise BadRow("", "pp_size", row["pp_size"], "pipeline parallelism is not modelled; give a row with 1")
    if gpus % groups:
        raise BadRow("", "attention_dp_size", groups, f"so many groups do not divide {gpus} GPUs; correct it")
    return EstimateRequest(
        shape=shape,
        layout=Layout(
            card,
            tensor_parallel=gpus,
            precision=precision,
            kv_format=_kv_format(shape, card, precision),
            attention_data_parallel=groups,
            engine_version=(row.get("backend_version") or "").strip() if _is_vllm(row) else "",
        ),
        prompt_tokens=max(_count(row, "isl") * mean, 1.0),
        generation_tokens=max(_count(row, "osl") * mean, 1.0),
        concurrency=float(concurrency),
        first_wave=True,
        # What was measured has started: where shards would cut blocks of scales, its experts were spread.
        spread_experts=True,
    )


def _doubts(row: Mapping[str, str | None], question: EstimateRequest) -> Iterator[str]:
    """Notes on the ways of sharing GPUs that the prediction does not model."""
    layout = question.layout
    if layout.gpus > _NODE_GPUS and layout.gpu.name not in _RACK_LINKS:
        yield f"{layout.gpus} GPUs are several nodes, and the network between them is not modelled: too fast"
    if layout.attention_data_parallel > 1 and _count(row, "moe_ep_size", default=1) > 1:
        yield "experts are spread over groups of attention, and an even exchange of tokens is taken: too fast"


def _is_vllm(row: Mapping[str, str | None]) -> bool:
    return (row.get("backend") or "").strip().lower() == "vllm"


def _kv_format(shape: ModelShape, card: Gpu, precision: Precision) -> KvFormat:
    # gpt-oss's FP4 is the original checkpoint, served with vLLM's default cache; so are INT4 ones.
    original_fp4 = precision is Precision.FP4 and bool(shape.windows()) and card.fp4_tflops is None
    quantised = precision in (Precision.FP8, Precision.FP4) and not original_fp4
    return KvFormat.FP8 if quantised and card.name in _FP8_CACHE else KvFormat.BF16


def _gpu_name(system: str) -> str:
    name = system.strip().lower()
    for suffix in _SYSTEM_SUFFIXES:
        name = name.removesuffix(suffix)
    return {"a100": "a100-80"}.get(name, name.replace("_", "-"))


def _precision(text: str, shape: ModelShape) -> Precision:
    if not text:
        return shape.precision
    try:
        return _PRECISIONS[text.lower()]
    except KeyError:
        raise BadRow("", "precision", text, f"it is not modelled; known are {', '.join(_PRECISIONS)}") from None


def _text(row: Mapping[str, str | None], column: str) -> str:
    value = (row.get(column) or "").strip()
    if not value:
        raise BadRow("", column, MISSING, "give it")
    return value


def _given(row: Mapping[str, str | None], column: str) -> bool:
    return (row.get(column) or "").strip() not in ("", "0", "0.0")


def _count(row: Mapping[str, str | None], column: str, *, default: int | None = None) -> int:
    text = (row.get(column) or "").strip()
    if default is not None and not _given(row, column):
        return default
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (1.0 <= number < 1e9 and number == int(number)):
        raise BadRow("", column, text, "give a whole number of at least 1")
    return int(number)
