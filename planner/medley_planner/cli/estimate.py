"""`medley estimate`: latency, memory, largest rate and watts of one replica from data sheets, for one load or a table.

Reads a config.json, a CSV file or a ModelProfile where one is named, writes to standard output; what is wrong with the
input goes to standard error. Exit status: 0 estimated, 2 bad input.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medley_planner.bad_input import MISSING, BadInput
from medley_planner.capacity.estimate import Estimate, EstimateRequest, estimate
from medley_planner.capacity.speed import UNCORRECTED
from medley_planner.catalog import Catalogue
from medley_planner.cli.arguments import (
    BadOption,
    directory_argument,
    duration_argument,
    model_argument,
    percentile_argument,
    positive_argument,
    ratio_argument,
    whole_argument,
)
from medley_planner.cli.estimate_rows import ADDED, predict_row
from medley_planner.cli.gpu_file import add_gpu_file, catalogue_of
from medley_planner.cli.profile_file import MeasuredFactors, ProfileFile, measured_factors, read_profile
from medley_planner.exit_status import ExitStatus, report_error
from medley_planner.layout import KvFormat, Layout
from medley_planner.model import Provenance
from medley_planner.shapes import Precision, model_id
from medley_planner.units import req_per_second

_ONE = ("model", "gpu", "input", "output_tokens")
_FLAGS = {"output_tokens": "--output"}


def add_parser(subparsers: Any) -> None:
    """Adds the `estimate` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser(
        "estimate",
        help="estimate latency, memory and the largest rate of one replica",
        description="Estimate one replica from data sheets, without a cluster: latency at a load, memory, the largest "
        "rate within the targets, watts. Figures are estimates; the error band is printed beside them. "
        "Exit status: 0 estimated, 2 bad input.",
    )
    parser.add_argument("--model", metavar="NAME|config.json", help="a bundled model, or the path of a config.json")
    parser.add_argument("--gpu", help="GPU type, such as H100")
    add_gpu_file(parser)
    parser.add_argument(
        "--profile",
        type=Path,
        metavar="FILE.yaml",
        help="estimate from this ModelProfile; model, GPU, degree and precision default to its own",
    )
    parser.add_argument("--tp", type=whole_argument, metavar="GPUS", help="tensor parallel degree; default: 1")
    formats, cache_formats = [each.value for each in Precision], [each.value for each in KvFormat]
    parser.add_argument("--precision", type=str.upper, choices=formats, help="default: the checkpoint's")
    parser.add_argument("--kv-precision", type=str.upper, choices=cache_formats, help="KV cache; default: BF16")
    parser.add_argument("--input", type=whole_argument, metavar="TOKENS", help="prompt tokens of a request")
    parser.add_argument(
        "--output", type=whole_argument, metavar="TOKENS", dest="output_tokens", help="generated tokens of a request"
    )
    load = parser.add_mutually_exclusive_group()
    load.add_argument(
        "--concurrency",
        type=whole_argument,
        metavar="CLIENTS",
        help="requests under way at all times (instead of --rate)",
    )
    load.add_argument("--rate", type=positive_argument, metavar="RPS", help="requests per second, Poisson arrivals")
    parser.add_argument("--slo-ttft", type=duration_argument, metavar="DURATION", help='target, such as "1s"')
    parser.add_argument("--slo-tpot", type=duration_argument, metavar="DURATION", help='target, such as "50ms"')
    parser.add_argument("--percentile", type=percentile_argument, default=95.0, help="of requests; default: 95")
    parser.add_argument(
        "--token-budget", type=whole_argument, default=8192, help="max-num-batched-tokens; default: 8192"
    )
    parser.add_argument("--max-sequences", type=whole_argument, default=1024, help="max-num-seqs; default: 1024")
    parser.add_argument(
        "--simulate",
        action="store_true",
        help="also find the largest rate by simulating the engine; needs --slo-ttft or --slo-tpot",
    )
    parser.add_argument(
        "--cache-dir",
        type=directory_argument,
        metavar="DIR",
        help="with --simulate: directory for simulated rates; default: the user's cache directory",
    )
    parser.add_argument(
        "--csv",
        type=Path,
        metavar="FILE",
        help="predict each row (model_path, system, precision, isl, osl, batch_size, tp_size); rows go to stdout",
    )
    parser.add_argument(
        "--range-ratio",
        type=ratio_argument,
        default=0.8,
        help="with --csv: lengths are drawn evenly between this share of isl and osl and their full value, as in "
        "vLLM's load tests (1: all have the full length); default: 0.8",
    )
    parser.add_argument("-o", dest="format", choices=("table", "json", "yaml"), default="table", help="default: table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    try:
        catalogue = catalogue_of(args.gpu_file)
        if args.csv is not None:
            _predict_file(args.csv, args.range_ratio, catalogue)
            return ExitStatus.OK
        question, measured = _question(args, catalogue)
        report = summarise(question, estimate(question), measured)
        if args.simulate:
            report["simulated_max_rate_rps"] = _simulated(question, report["max_rate_rps"], args.cache_dir)
    except BadInput as error:
        return report_error("estimate", error)
    _WRITERS[args.format](report)
    return ExitStatus.OK


def summarise(question: EstimateRequest, answer: Estimate, measured: MeasuredFactors | None = None) -> dict[str, Any]:
    """The object that `-o json` prints: seconds, requests and tokens per second, 1e9 bytes, watts."""
    latency, layout = answer.latency, question.layout
    provenance, band, reason = Provenance.ESTIMATED, answer.band, answer.band_reason
    if measured is not None:
        provenance, band, reason = Provenance.MEASURED, measured.error, measured.reason
    return {
        "model": question.shape.name,
        "gpu": layout.gpu.name,
        "gpus": layout.gpus,
        "tensor_parallel": layout.tensor_parallel,
        "precision": layout.precision.value,
        "ttft_seconds": {"mean": latency.ttft_seconds, f"p{question.percentile:g}": latency.ttft_percentile_seconds},
        "tpot_seconds": {"mean": latency.tpot_seconds, f"p{question.percentile:g}": latency.tpot_percentile_seconds},
        "throughput": {
            "requests_per_second": latency.rate_rps,
            "generated_tokens_per_second": latency.rate_rps * question.generation_tokens,
            "running_requests": latency.running,
        },
        "memory": {
            "weights_gb": answer.fit.weights_gb,
            "kv_capacity_tokens": answer.fit.kv_tokens,
            "free_gb": answer.free_gb,
        },
        "max_rate_rps": answer.max_rate_rps,
        "watts": answer.watts,
        "provenance": provenance.value,
        "error_band": {"tpot": band, "reason": reason},
        "source": layout.gpu.source,
        "note": layout.gpu.note,
    }


def _question(args: argparse.Namespace, catalogue: Catalogue) -> tuple[EstimateRequest, MeasuredFactors | None]:
    profile = None if args.profile is None else read_profile(args.profile, catalogue)
    if profile is not None:
        _take_from(profile, args, catalogue)
    missing = [_FLAGS.get(name, f"--{name}") for name in _ONE if getattr(args, name) is None]
    if missing:
        them = "it" if len(missing) == 1 else "them"
        raise BadOption("", ", ".join(missing), MISSING, f"give {them}, or --csv FILE")
    if args.concurrency is None and args.rate is None:
        raise BadOption("", "the load", MISSING, "give --concurrency or --rate")
    shape = model_argument(args.model)
    measured = None if profile is None else measured_factors(profile, shape)
    question = EstimateRequest(
        shape=shape,
        layout=Layout(
            catalogue.gpu(args.gpu),
            tensor_parallel=args.tp or 1,
            precision=Precision(args.precision) if args.precision else shape.precision,
            kv_format=KvFormat(args.kv_precision or "BF16"),
        ),
        prompt_tokens=args.input,
        generation_tokens=args.output_tokens,
        concurrency=args.concurrency,
        rate_rps=args.rate,
        percentile=args.percentile,
        ttft_target_seconds=args.slo_ttft,
        tpot_target_seconds=args.slo_tpot,
        token_budget=args.token_budget,
        max_sequences=args.max_sequences,
        factors=UNCORRECTED if measured is None else measured.factors,
        kv_tokens=None if profile is None else profile.kv_tokens,
    )
    return question, measured


def _take_from(profile: ProfileFile, args: argparse.Namespace, catalogue: Catalogue) -> None:
    """The profile fills in what the command line leaves out; what it gives must be that."""
    layout = profile.layout
    own_config = args.model is not None and Path(args.model).suffix == ".json"
    model = args.model if args.model is None or own_config else model_id(args.model).casefold()
    card = None if args.gpu is None else catalogue.gpu(args.gpu).name
    asked = (
        ("--model", None if own_config else model, profile.model.casefold()),
        ("--gpu", card, layout.gpu.name),
        ("--tp", args.tp, layout.tensor_parallel),
        ("--precision", args.precision, layout.precision.value),
        ("--kv-precision", args.kv_precision, layout.kv_format.value),
    )
    for flag, given, measured in asked:
        if given is not None and given != measured:
            way_out = f"--profile {profile.path} is of {measured}; leave it out or give another profile"
            raise BadOption("", flag, given, way_out)
    args.model = args.model or profile.model
    args.gpu, args.tp = layout.gpu.name, layout.tensor_parallel
    args.precision, args.kv_precision = layout.precision.value, layout.kv_format.value


def _simulated(question: EstimateRequest, closed_form_rps: float | None, directory: Path | None) -> float:
    if closed_form_rps is None:
        way_out = "it looks for the largest rate within targets; give --slo-ttft, --slo-tpot or both"
        raise BadOption.whole("--simulate", way_out)
    from medley_planner.capacity.cache import TableCache, default_directory
    from medley_planner.cli.simulated_rate import simulated_max_rate_rps

    cache = TableCache(directory or default_directory(os.environ))
    return simulated_max_rate_rps(question, guess_rps=closed_form_rps, cache=cache)


def _predict_file(path: Path, range_ratio: float, catalogue: Catalogue) -> None:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            rows = list(reader)
    except OSError as error:
        way_out = f"cannot be read ({error.strerror}); give the path of a CSV file"
        raise BadOption.whole(f"--csv {path}", way_out) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadOption.whole(f"--csv {path}", f"is not CSV text ({error}); give a CSV file in UTF-8") from None
    if not columns:
        raise BadOption.whole(f"--csv {path}", "is empty; its first line must name the columns")
    kept = [column for column in columns if column not in ADDED]
    writer = csv.DictWriter(sys.stdout, [*kept, *ADDED], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(row | predict_row(row, range_ratio=range_ratio, catalogue=catalogue))


def _write_json(report: dict[str, Any]) -> None:
    print(json.dumps(report, indent=2))


def _write_yaml(report: dict[str, Any]) -> None:
    import yaml

    print(yaml.safe_dump(report, sort_keys=False), end="")


def _write_table(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)  # names are the user's own and may hold brackets
    title = f"{report['model']} in {report['precision']} on {report['gpus']} x {report['gpu']}"
    table = Table(title=title, title_justify="left", show_header=False)
    (_, ttft), (percentile, slow_ttft) = report["ttft_seconds"].items()
    (_, tpot), (_, slow_tpot) = report["tpot_seconds"].items()
    throughput, memory, band = report["throughput"], report["memory"], report["error_band"]
    table.add_row("TTFT", f"{ttft * 1e3:.0f} ms mean, {slow_ttft * 1e3:.0f} ms {percentile}")
    table.add_row("TPOT", f"{tpot * 1e3:.1f} ms mean, {slow_tpot * 1e3:.1f} ms {percentile}")
    table.add_row(
        "throughput",
        f"{req_per_second(throughput['requests_per_second'])}, "
        f"{throughput['generated_tokens_per_second']:.0f} tokens/s, {throughput['running_requests']:.1f} running",
    )
    table.add_row(
        "memory",
        f"{memory['weights_gb']:.1f} GB weights, {memory['free_gb']:.1f} GB free for "
        f"{memory['kv_capacity_tokens']} KV tokens",
    )
    if report["max_rate_rps"] is not None:
        table.add_row("largest rate", f"{req_per_second(report['max_rate_rps'])} within the targets, not derated")
    if "simulated_max_rate_rps" in report:
        table.add_row(
            "simulated", f"{req_per_second(report['simulated_max_rate_rps'])} within the targets, not derated"
        )
    table.add_row("power", f"{report['watts']:.0f} W")
    table.add_row("provenance", f"{report['provenance']}, TPOT +-{band['tpot']:.0%}: {band['reason']}")
    console.print(table)


_WRITERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "json": _write_json,
    "yaml": _write_yaml,
    "table": _write_table,
}
