"""Prints what `medley model show` says of a checkpoint, as JSON, YAML or tables. Pure but for standard output."""

from __future__ import annotations

from typing import Any

from medley_operator.checkpoint.read import ReadCheckpoint
from medley_planner.capacity import memory_fit
from medley_planner.catalog import Catalogue
from medley_planner.cli.output import TABLE, print_document
from medley_planner.layout import Layout
from medley_planner.shapes import ModelShape

_DEGREES = (1, 2, 4, 8)
_MAX_MODEL_LEN = 16384


def report_of(
    read: ReadCheckpoint, shape: ModelShape, *, max_model_len: int | None, catalogue: Catalogue
) -> dict[str, Any]:
    """The object that `-o json` prints: parameters, bytes, tokens."""
    longest = max_model_len or min(_MAX_MODEL_LEN, shape.max_position or _MAX_MODEL_LEN)
    weights, form = read.weights, shape.checkpoint
    by_format = dict(weights.bytes_by_dtype) if weights is not None else _counted_formats(shape)
    return {
        "model": shape.name,
        "architecture": architecture_of(read.config),
        "layers": shape.layers,
        "hidden_size": shape.hidden,
        "parameters": shape.parameters(),
        "active_parameters": shape.active_parameters(),
        "draft_parameters": shape.draft_parameters,
        "experts": shape.experts,
        "precision": shape.precision.value,
        "checkpoint": "" if form is None else form.words,
        "weight_bytes": round(shape.weight_bytes(shape.precision)),
        "weight_bytes_from": "config.json" if weights is None else "weight files",
        "draft_bytes": 0 if weights is None else weights.draft_bytes,
        "bytes_by_format": by_format,
        "kv_bytes_per_token": round(shape.kv_bytes_per_token()),
        "window_bytes_per_token": {
            str(window): round(shape.window_bytes_per_token(window)) for window in shape.windows()
        },
        "state_bytes_per_sequence": round(shape.state_bytes_per_sequence()),
        "max_position": shape.max_position,
        "max_model_len": longest,
        "fits": _fits(shape, longest, catalogue),
    }


def architecture_of(config: dict[str, Any]) -> str:
    """The class that the config names, else its type."""
    classes = config.get("architectures")
    named = classes[0] if isinstance(classes, list) and classes else config.get("model_type")
    return str(named or "")


def print_report(report: dict[str, Any], form: str) -> None:
    if form == TABLE:
        _print_tables(report)
    else:
        print_document(report, form=form)


def _counted_formats(shape: ModelShape) -> dict[str, int]:
    """Bytes by format as the sizes say: what is quantized, and the rest."""
    counted = round(shape.counted_weight_bytes(shape.precision))
    if shape.checkpoint is None:
        return {shape.precision.value: counted}
    linear = shape.dense_parameters() * shape.dense_weight_bytes(shape.precision)
    linear += (shape.linear_parameters() - shape.dense_parameters()) * shape.expert_weight_bytes(shape.precision)
    return {shape.checkpoint.words: round(linear), "BF16": counted - round(linear)}


def _fits(shape: ModelShape, max_model_len: int, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The fewest GPUs of each type, by tensor parallelism on one node, that hold it and one sequence."""
    found: list[dict[str, Any]] = []
    for name in catalogue.names():
        reason = ""
        for degree in _DEGREES:
            layout = Layout(catalogue.gpu(name), tensor_parallel=degree, precision=shape.precision)
            fit = memory_fit(shape, layout, max_model_len=max_model_len)
            if fit.fits:
                found.append({"gpu": name, "gpus": degree, "kv_capacity_tokens": fit.kv_tokens, "reason": ""})
                break
            reason = fit.reason
        else:
            found.append({"gpu": name, "gpus": None, "kv_capacity_tokens": 0, "reason": reason})
    return found


def _print_tables(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)  # names are the user's own and may hold brackets
    table = Table(title=report["model"], title_justify="left", show_header=False)
    drafts = report["draft_parameters"]
    table.add_row("architecture", f"{report['architecture']}, {report['layers']} layers of {report['hidden_size']}")
    more = f", {drafts / 1e9:.2f} B of drafts beside" if drafts else ""
    table.add_row(
        "parameters", f"{report['parameters'] / 1e9:.2f} B, {report['active_parameters'] / 1e9:.2f} B per token{more}"
    )
    table.add_row("precision", report["checkpoint"] or report["precision"])
    table.add_row("weights", f"{report['weight_bytes'] / 1e9:.2f} GB, from {report['weight_bytes_from']}")
    formats = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in report["bytes_by_format"].items())
    table.add_row("by format", formats)
    table.add_row("KV cache", f"{report['kv_bytes_per_token']} bytes per token")
    for window, size in report["window_bytes_per_token"].items():
        table.add_row("", f"{size} bytes per token of the last {window}")
    if report["state_bytes_per_sequence"]:
        table.add_row("states", f"{report['state_bytes_per_sequence'] / 1e6:.1f} MB per sequence")
    table.add_row("positions", str(report["max_position"] or "not said"))
    console.print(table)
    fits = Table(title=f"fewest GPUs for sequences of {report['max_model_len']} tokens", title_justify="left")
    for column in ("GPU", "GPUs", "KV tokens"):
        fits.add_column(column, justify="left" if column == "GPU" else "right")
    for fit in report["fits"]:
        if fit["gpus"]:
            fits.add_row(fit["gpu"], str(fit["gpus"]), str(fit["kv_capacity_tokens"]))
    console.print(fits)
    lacking = [fit["gpu"] for fit in report["fits"] if not fit["gpus"]]
    if lacking:
        console.print(f"does not fit {_DEGREES[-1]} of: {', '.join(lacking)} (-o json says why)")
