"""The arguments of an engine: those of spec, profile and variant, as far as its version has them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from medley_operator.domain.engine.arguments import EngineFlag, engine_args, flag_of
from medley_planner.layout import EngineKind
from medley_planner.variants import variant_flags
from tests.unit.operator import factories as make

EVERY_FLAG = (("--tensor-parallel-size", "2"), ("--quantization", "fp8"), ("--max-num-batched-tokens", "4096"))


DATA = Path(os.environ.get("MEDLEY_SHARED_DATA", Path(__file__).parents[5] / ".." / "shared" / "data"))


def test_engine_arguments() -> None:
    service = make.service(
        spec={
            "model": {"uri": make.LLAMA, "name": "chat", "maxModelLen": 8192},
            "runtime": {"args": ["--kv-cache-dtype=fp8"]},
        }
    )
    profile = make.profile(args=["--kv-cache-dtype=auto", "--enable-prefix-caching"])
    arguments = engine_args(service, profile, EVERY_FLAG)
    assert arguments[0] == "meta-llama/Llama-3.1-8B-Instruct"
    assert {
        "--served-model-name=chat",
        "--port=8000",
        "--max-model-len=8192",
        "--tensor-parallel-size=2",
        "--quantization=fp8",
        "--gpu-memory-utilization=0.90",
        "--max-num-batched-tokens=4096",
        "--max-num-seqs=256",
    } <= set(arguments)
    assert arguments[-2:] == ["--enable-prefix-caching", "--kv-cache-dtype=fp8"]
    assert "--kv-cache-dtype=auto" not in arguments


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        ("0.32.0", set()),
        ("0.17.1", {EngineFlag.SHUTDOWN_TIMEOUT}),
        ("0.15", {EngineFlag.SHUTDOWN_TIMEOUT, EngineFlag.DISABLE_ACCESS_LOG}),
    ],
)
def test_flags_follow_the_engine_version(version: str, missing: set[EngineFlag]) -> None:
    given = {flag_of(item) for item in engine_args(make.service(), make.profile(version=version), ())[1:]}
    assert given == {flag.value for flag in EngineFlag} - missing


def test_every_flag_exists_in_the_engine() -> None:
    help_file = DATA / "vllm_0.32_serve_help.txt"
    if not help_file.exists():
        pytest.skip(f"{help_file} is not there; set MEDLEY_SHARED_DATA")
    known = set(re.findall(r"(?<![\w-])--[a-z0-9][a-z0-9-]*", help_file.read_text()))
    given = [flag_of(item) for item in engine_args(make.service(), make.profile(), EVERY_FLAG)[1:]]
    assert len(given) == len(EngineFlag) + len(variant_flags(EngineKind.VLLM))
    assert set(given) <= known


def test_a_variant_sets_every_flag_of_its_kind() -> None:
    assert {flag for flag, _ in EVERY_FLAG} == variant_flags(EngineKind.VLLM)
