"""Reading the engine's settings from what the operator puts into a pod."""

from __future__ import annotations

import pytest

from e2e.fleet.arguments import UnknownEngine, parse_arguments


def test_flags_in_both_forms_and_the_last_one_counts() -> None:
    found = parse_arguments(
        ["org/model", "--served-model-name=llama", "--max-model-len", "8192", "--tensor-parallel-size=2",
         "--max-num-seqs=8", "--enable-prefix-caching", "--max-num-seqs=16", "--quantization=fp8"]
    )  # fmt: skip
    assert (found.model, found.served_model_name, found.max_model_len) == ("org/model", "llama", 8192)
    assert (found.tensor_parallel, found.max_sequences, found.quantization) == (2, 16, "fp8")


def test_the_model_serves_under_its_own_name_by_default() -> None:
    assert parse_arguments(["org/model", "--max-model-len=10"]).served_model_name == "org/model"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "the first must be the model"),
        (["--max-model-len=1"], "the first must be the model"),
        (["m"], "--max-model-len is missing"),
        (["m", "--max-model-len=long"], "'long' is not a whole number"),
        (["m", "--max-model-len=9", "--gpu-memory-utilization=90"], "'90' is not a number above 0 and up to 1"),
    ],
)
def test_what_cannot_be_read_is_named(args: list[str], says: str) -> None:
    with pytest.raises(UnknownEngine, match=says):
        parse_arguments(args)
