"""Command lines of engines as users write them: by arguments, by a command, by a shell, by KServe."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medley_operator.cli.advise.command_line import engine_command

VLLM = "vllm/vllm-openai:v0.31.0"
MODEL = "Qwen/Qwen3-32B"


def container(image: str = VLLM, command: list[str] | None = None, args: list[str] | None = None) -> dict[str, Any]:
    return {"name": "c", "image": image} | ({"command": command} if command else {}) | ({"args": args} if args else {})


@pytest.mark.parametrize(
    "given",
    [
        container(args=["--model", MODEL, "--tensor-parallel-size", "2"]),
        container(args=[f"--model={MODEL}", "-tp", "2"]),
        container(args=[MODEL, "--tensor_parallel_size=2"]),
        container("own/image:3", ["vllm", "serve", MODEL], ["--tensor-parallel-size=2"]),
        container("own/image:3", ["/usr/bin/vllm", "serve", MODEL, "-tp=2"]),
        container(
            "own/image:3", ["python3", "-m", "vllm.entrypoints.openai.api_server"], ["--model", MODEL, "-tp", "2"]
        ),
        container("own/image:3", ["/bin/bash", "-c"], [f"export A=1 && exec vllm serve '{MODEL}' -tp 2 | tee log"]),
        container("own/image:3", ["sh", "-ec", f"# start\nvllm serve {MODEL} \\\n  --tensor-parallel-size 2"]),
        container("kserve/huggingfaceserver:v0.16-gpu", None, [f"--model_id={MODEL}", "--tensor-parallel-size=2"]),
        container("registry.example:5000/mirror/vllm-openai@sha256:00", None, ["--model", MODEL, "-tp", "2"]),
    ],
)
def test_model_and_degree(given: dict[str, Any]) -> None:
    command = engine_command(given)
    assert command is not None
    assert (command.model, command.flags["--tensor-parallel-size"]) == (MODEL, "2")


@pytest.mark.parametrize(
    "given",
    [
        container("production-stack/router:1", args=["--port", "8001"]),
        container("nginx"),
        container(VLLM, ["sleep", "infinity"]),
        container(VLLM, ["bash", "-c", "nvidia-smi; sleep 1"]),
        container(VLLM, ["vllm", "bench", "serve", "--model", MODEL]),
        container("own/image", ["sh", "-c", "vllm serve 'not closed"]),
    ],
)
def test_what_is_not_an_engine(given: dict[str, Any]) -> None:
    assert engine_command(given) is None


def test_what_a_shell_would_expand_is_not_believed() -> None:
    command = engine_command(container("x", ["sh", "-c", "vllm serve $MODEL --max-model-len ${LEN} -tp 2"]))
    assert command is not None
    assert (command.model, command.flags["--max-model-len"]) == ("", "")


def test_the_last_of_a_flag_counts_and_a_flag_may_have_no_value() -> None:
    command = engine_command(container(args=["--model", "a/b", "--enable-prefix-caching", "--model", MODEL]))
    assert command is not None
    assert (command.model, command.flags["--enable-prefix-caching"]) == (MODEL, "")


@given(st.one_of(st.none(), st.text(), st.lists(st.text(max_size=40), max_size=6)), st.text(max_size=40))
def test_no_container_stops_the_look(words: object, image: str) -> None:
    engine_command({"image": image, "command": words, "args": words})
    engine_command({"image": image, "command": ["sh", "-c", str(words)]})
