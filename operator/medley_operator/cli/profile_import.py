"""`medley profile import`: reports of other load testers as a ModelProfile manifest on standard output.

Reads the named files; what is left out, and the error of the fit, go to standard error. Exit status: 0 written, 2 bad
input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from medley_operator.api.v1alpha1 import KvPrecision, MeasuredPrecision
from medley_operator.profile.import_guidellm import guidellm_report
from medley_operator.profile.import_vllm import vllm_run
from medley_operator.profile.manifest import model_profile_manifest
from medley_operator.profile.report import BadReport, Imported, joined
from medley_planner.bad_input import BadInput
from medley_planner.capacity import memory_fit
from medley_planner.capacity.engine_rules import version_of
from medley_planner.capacity.fit import Fit, NoFit, fit_points
from medley_planner.capacity.speed import UNCORRECTED
from medley_planner.cli.arguments import BadOption, whole_argument
from medley_planner.cli.gpu_file import add_gpu_file, catalogue_of
from medley_planner.cli.output import JSON, YAML, add_output_option, print_document
from medley_planner.documents import BadText, json_value, json_value_at
from medley_planner.exit_status import ExitStatus, report_error
from medley_planner.layout import EngineKind, KvFormat, Layout
from medley_planner.schema_faults import WHOLE, faults_of
from medley_planner.shapes import ModelShape, Precision, bundled_shape, model_id, shape_from_config
from medley_planner.units import req_per_second

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_TOOLS = ("vllm-bench", "guidellm")


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "import",
        help="make a ModelProfile from reports of vllm bench serve or guidellm",
        description="Make a ModelProfile from reports that vllm bench serve or guidellm wrote for one replica. "
        "Measure with distinct prompts: points that beat the physical limit are refused. Exit status: 0 written, 2 "
        "bad input.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.json", help="reports of one engine, any loads")
    parser.add_argument("--from", dest="tool", required=True, choices=_TOOLS, help="tool that wrote the reports")
    add_engine_arguments(parser)
    parser.set_defaults(profile_run=run)


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Facts about the measured engine that a report does not contain, and the form of the manifest."""
    parser.add_argument("--model", required=True, help="model as in spec.model.uri, such as Qwen/Qwen3-32B")
    parser.add_argument("--config", type=Path, metavar="config.json", help="config.json of a model that is not bundled")
    parser.add_argument("--gpu", required=True, help="GPU type, such as H100")
    add_gpu_file(parser)
    parser.add_argument(
        "--tp", type=whole_argument, default=1, metavar="GPUS", help="tensor parallel degree; default: 1"
    )
    parser.add_argument(
        "--precision",
        type=str.upper,
        choices=[each.value for each in MeasuredPrecision],
        default="BF16",
        help="of the weights; default: BF16",
    )
    parser.add_argument(
        "--kv-precision",
        type=str.upper,
        choices=[each.value for each in KvPrecision],
        default="BF16",
        help="of the KV cache; default: BF16",
    )
    parser.add_argument(
        "--engine",
        choices=[each.value for each in EngineKind],
        default=EngineKind.VLLM.value,
        help="inference server; default: vLLM",
    )
    parser.add_argument("--engine-version", required=True, help='version of the inference server, such as "0.32.0"')
    parser.add_argument("--kv-tokens", type=whole_argument, help="tokens in the engine's KV cache, from its start log")
    parser.add_argument(
        "--token-budget", type=whole_argument, default=8192, help="the engine's --max-num-batched-tokens; default: 8192"
    )
    parser.add_argument(
        "--max-sequences", type=whole_argument, default=1024, help="the engine's --max-num-seqs; default: 1024"
    )
    parser.add_argument(
        "--measured-at",
        metavar="TIME",
        help='time of the measurement, such as "2026-11-27T13:00:00Z"; default: from the reports',
    )
    parser.add_argument("--name", help="name of the ModelProfile; default: made from model, GPU, degree and precision")
    parser.add_argument("--note", default="", help="text for spec.source.note")
    add_output_option(parser, (YAML, JSON))


def run(arguments: argparse.Namespace) -> int:
    try:
        read = vllm_reports if arguments.tool == "vllm-bench" else guidellm_reports
        found = joined([part for path in arguments.files for part in read(path)])
        write_profile(arguments, found, tool=arguments.tool)
    except BadInput as error:
        return report_error("profile import", error)
    return ExitStatus.OK


def write_profile(arguments: argparse.Namespace, found: Imported, *, tool: str) -> None:
    """Fits and prints the manifest. Raises BadInput."""
    shape = _shape(arguments)
    _check_version(arguments, found)
    for reason in found.skipped:
        print(f"left out: {reason}", file=sys.stderr)
    fit = fit_points(
        found.points,
        shape=shape,
        layout=_layout(arguments),
        token_budget=arguments.token_budget,
        max_sequences=arguments.max_sequences,
        kv_tokens=arguments.kv_tokens,
    )
    for point, reason in fit.refused:
        load = (
            f"{point.concurrency:g} clients" if point.concurrency is not None else req_per_second(point.rate_rps or 0.0)
        )
        print(f"left out: the point at {load}: {reason}", file=sys.stderr)
    if isinstance(fit, NoFit):
        raise BadReport.whole("no profile", fit.reason)
    manifest = _manifest(arguments, fit, shape=shape, found=found, tool=tool)
    factors = fit.factors
    print(
        f"{fit.used} points, mean TPOT error {fit.error:.1%}; factors on the data sheet's step time: fixed "
        f"{factors.fixed:.2f}, compute {factors.compute:.2f}, sequence {factors.sequence:.2f}, kv {factors.kv:.2f}",
        file=sys.stderr,
    )
    print_document(manifest, form=arguments.output)


def _check_version(arguments: argparse.Namespace, found: Imported) -> None:
    """Raises BadReport where the reports say that another version was measured."""
    measured = found.engine_version
    if measured is not None and version_of(measured) != version_of(arguments.engine_version):
        way_out = f"the reports were measured with {measured}; give that, or the reports of {arguments.engine_version}"
        raise BadOption("", "--engine-version", arguments.engine_version, way_out)


def check_engine(arguments: argparse.Namespace) -> None:
    """Refuses, before anything is measured, the options that `write_profile` would refuse. Raises as it does."""
    arguments.model = model_id(arguments.model)
    shape = _shape(arguments)
    fit = memory_fit(shape, _layout(arguments), max_model_len=2, engine_kv_tokens=arguments.kv_tokens)
    if not fit.fits:
        raise BadOption.whole("", fit.reason)
    _manifest(arguments, Fit(UNCORRECTED, 0.0, None, 0, ()), shape=shape, found=Imported((), (), None), tool="medley")


def _shape(arguments: argparse.Namespace) -> ModelShape:
    model = model_id(arguments.model)
    if arguments.config is not None:
        return shape_from_config(arguments.config, name=model)
    return bundled_shape(model, config="give --config")


def _layout(arguments: argparse.Namespace) -> Layout:
    """Raises UnknownGpu, BadOption and BadDataSheet."""
    return Layout(
        catalogue_of(arguments.gpu_file).gpu(arguments.gpu),
        tensor_parallel=arguments.tp,
        precision=Precision(arguments.precision),
        kv_format=KvFormat(arguments.kv_precision),
        engine=EngineKind(arguments.engine),
        engine_version=arguments.engine_version,
    )


def _manifest(
    arguments: argparse.Namespace, fit: Fit, *, shape: ModelShape, found: Imported, tool: str
) -> dict[str, Any]:
    """Raises BadReport where the API would refuse it."""
    try:
        return model_profile_manifest(
            model=shape.name,
            layout=_layout(arguments),
            fit=fit,
            points=found.points,
            tool=tool,
            measured_at=arguments.measured_at or found.measured_at,
            note=arguments.note,
            kv_tokens=arguments.kv_tokens,
            token_budget=arguments.token_budget,
            max_sequences=arguments.max_sequences,
            name=arguments.name,
        )
    except ValidationError as error:
        faults = faults_of(error)
        for fault in faults:
            fault.field = "metadata.name" if fault.field == WHOLE else fault.field
        said = "; ".join(fault.fault for fault in faults)
        raise BadReport.whole("the API server would refuse the profile", said) from None


def vllm_reports(path: Path) -> Iterator[Imported]:
    """One JSON object, or several one after the other (--append-result)."""
    text, position, number = _text(path), 0, 0
    while position < len(text):
        number += 1
        try:
            run, end = json_value_at(text, position)
        except BadText as error:
            raise BadReport.whole(str(path), error.or_else("give the file that --save-result wrote")) from None
        yield vllm_run(run, where=str(path) if not position and not text[end:].strip() else f"{path}: run {number}")
        position = end + len(text[end:]) - len(text[end:].lstrip())
    if not number:
        raise BadReport.whole(str(path), "is empty; give the file that --save-result wrote")


def guidellm_reports(path: Path) -> Iterator[Imported]:
    try:
        report = json_value(_text(path))
    except BadText as error:
        raise BadReport.whole(str(path), error.or_else("give the file that --output-path x.json wrote")) from None
    yield guidellm_report(report, where=str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadReport.whole(str(path), f"cannot be read ({reason}); give a JSON report") from None
