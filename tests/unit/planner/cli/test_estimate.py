"""`medley estimate`: output, exit status, tables of rows, and one clear line for each kind of bad input."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml

from medley_operator.cli.main import main as medley
from medley_planner.__main__ import main
from medley_planner.cli import simulated_rate
from medley_planner.units import req_per_second

GOOD = [
    "estimate", "--model", "meta-llama/Llama-3.1-70B", "--gpu", "h100", "--tp", "2", "--precision", "fp8",
    "--input", "1024", "--output", "256",
]  # fmt: skip
HEADER = "model_path,system,precision,isl,osl,batch_size,tp_size,silicon_tpot_ms"


def test_json_yaml_and_table_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    asked = [*GOOD, "--concurrency", "32", "--slo-ttft", "1s", "--slo-tpot", "50ms", "--percentile", "95"]
    assert main([*asked, "-o", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert 0.02 < report["tpot_seconds"]["mean"] < report["tpot_seconds"]["p95"] < 0.05
    assert report["max_rate_rps"] > 1
    assert (report["provenance"], report["error_band"]["tpot"]) == ("estimated", 0.15)
    assert main([*asked, "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == report
    assert medley(asked) == 0
    shown = capsys.readouterr().out
    for words in ("72.7 GB weights", f"{report['memory']['kv_capacity_tokens']} KV tokens", "+-15%"):
        assert words in shown


def test_a_rate_and_a_config_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 16, "intermediate_size": 8192}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**config, "vocab_size": 32000}))
    words = ["estimate", "--model", str(path), "--gpu", "L4", "--input", "512", "--output", "64", "--rate", "1"]
    assert main([*words, "-o", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["throughput"]["requests_per_second"] == 1
    assert report["max_rate_rps"] is None


def test_the_simulated_rate_stands_beside_the_closed_form_and_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [*GOOD, "--concurrency", "32", "--slo-ttft", "1s", "--slo-tpot", "50ms", "--simulate"]
    asked += ["--cache-dir", str(tmp_path / "kept"), "-o", "json"]
    assert main(asked) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["simulated_max_rate_rps"] == pytest.approx(report["max_rate_rps"], rel=0.25)

    def again(*_: object, **__: object) -> float:
        raise AssertionError("simulated anew")

    monkeypatch.setattr(simulated_rate, "simulated_rate_rps", again)
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out) == report
    assert main([*asked[:-2], "-o", "table"]) == 0
    assert req_per_second(report["simulated_max_rate_rps"]) in capsys.readouterr().out


def test_with_one_target_an_engine_that_falls_behind_is_still_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a target for the first token any queue keeps the targets, however long it grows."""
    asked = [*GOOD, "--concurrency", "32", "--simulate", "--cache-dir", str(tmp_path), "-o", "json"]
    assert main([*asked, "--slo-tpot", "1s", "--max-sequences", "16"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["simulated_max_rate_rps"] < 1.5 * report["max_rate_rps"]


def test_a_cache_that_cannot_be_written_is_told_and_the_answer_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "file"
    plain.write_text("")
    asked = [*GOOD, "--rate", "1", "--slo-ttft", "1s", "--simulate", "--cache-dir", str(plain), "-o", "json"]
    assert main(asked) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["simulated_max_rate_rps"] > 0
    assert "give another --cache-dir" in shown.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["estimate"], "--model, --gpu, --input, --output is missing"),
        (GOOD, "give --concurrency or --rate"),
        ([*GOOD, "--rate", "1", "--simulate"], "give --slo-ttft, --slo-tpot or both"),
        (
            [*GOOD, "--rate", "1", "--simulate", "--slo-ttft", "1s", "--token-budget", "512"],
            "at least as many tokens per step as sequences",
        ),
        ([*GOOD, "--gpu", "V101", "--rate", "1"], '"V101": it is not in the catalogue'),
        ([*GOOD, "--model", "acme/zzz", "--rate", "1"], "give the path of its config.json"),
        ([*GOOD, "--model", "/no/config.json", "--rate", "1"], "cannot be read"),
        ([*GOOD, "--rate", "9999"], "lower it"),
        ([*GOOD, "--tp", "1", "--rate", "1"], "use more GPUs"),
        (["estimate", "--csv", "/no/file.csv"], "cannot be read"),
    ],
)
def test_bad_input_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("medley estimate: ")
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert "spec.model" not in captured.err


@pytest.mark.parametrize(
    "words",
    [
        ["--rate", "nan"], ["--rate", "0"], ["--concurrency", "1.5"], ["--rate", "1", "--concurrency", "2"],
        ["--rate", "1", "--slo-ttft", "1"], ["--rate", "1", "--percentile", "100"], ["--rate", "1", "--tp", "0"],
        ["--rate", "1", "--precision", "fp2"],
    ],
)  # fmt: skip
def test_bad_options_exit_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*GOOD, *words])
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_rows_come_back_with_predictions_or_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.csv"
    lines = [
        "meta-llama/Llama-3.1-70B,h100_sxm,fp8,1024,1024,32,4,1",
        "meta-llama/Llama-3.1-70B,h100_sxm,fp8,1024,1024,32,4,999",
        "meta-llama/Llama-3.1-70B,b200_sxm,fp4,1024,1024,32,1,",
        "acme/zzz,h100_sxm,fp8,1024,1024,32,4,1",
        "meta-llama/Llama-3.1-70B,tpu_v9,fp8,1024,1024,32,4,1",
        "meta-llama/Llama-3.1-70B,h100_sxm,fp3,1024,1024,32,4,1",
        "meta-llama/Llama-3.1-70B,h100_sxm,fp8,nan,1024,32,4,1",
        "meta-llama/Llama-3.1-70B,l40s,fp8,1024,1024,32,1,1",
        "meta-llama/Llama-3.1-70B",
        "meta-llama/Llama-3.1-70B,h100_sxm,fp8,1024,1024,32,3,1,too,many",
    ]
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    assert main(["estimate", "--csv", str(path)]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == len(lines)
    assert rows[0]["predicted_tpot_ms"] == rows[1]["predicted_tpot_ms"], "measured columns are not read"
    assert 10 < float(rows[0]["predicted_tpot_ms"]) < 25
    assert float(rows[2]["predicted_ttft_ms"]) > 0
    for row, said in zip(
        rows[3:],
        ("not known", "tpu-v9", "fp3", 'isl is "nan"', "use more GPUs", "system is missing", "tensorParallel 3"),
        strict=True,
    ):
        assert (row["predicted_ttft_ms"], row["predicted_tpot_ms"]) == ("", "")
        assert said in row["note"]


WIDE = "model_path,system,precision,isl,osl,batch_size,tp_size,pp_size,attention_dp_size,moe_tp_size,moe_ep_size"


def _predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str], header: str, *lines: str) -> list[dict[str, str]]:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    assert main(["estimate", "--csv", str(path)]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_an_empty_precision_is_the_checkpoints_and_0_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blank, named, none = _predicted(
        tmp_path,
        capsys,
        WIDE,
        "openai/gpt-oss-120b,h200_sxm,,1024,1024,32,1,1,1,1,1",
        "openai/gpt-oss-120b,h200_sxm,fp4,1024,1024,32,1,1,1,1,1",
        "openai/gpt-oss-120b,h200_sxm,,1024,1024,32,1,0,0,0,0",
    )
    assert blank["predicted_tpot_ms"] == named["predicted_tpot_ms"] == none["predicted_tpot_ms"] != ""
    (other,) = _predicted(tmp_path, capsys, WIDE, "openai/gpt-oss-120b,h200_sxm,,1024,1024,0,1,1,1,1,1")
    assert 'batch_size is "0"' in other["note"], "a number that must be there is not none"


def test_several_nodes_and_experts_over_groups_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, groups, nodes = _predicted(
        tmp_path,
        capsys,
        WIDE,
        "deepseek-ai/DeepSeek-R1,b200_sxm,,1024,1024,8,8,1,1,8,1",
        "deepseek-ai/DeepSeek-R1,b200_sxm,,1024,1024,8,8,1,8,1,8",
        "deepseek-ai/DeepSeek-R1,b200_sxm,,1024,1024,8,16,1,16,1,16",
    )
    assert "too fast" not in one["note"]
    assert "spread over groups" in groups["note"]
    assert "several nodes" not in groups["note"]
    assert "several nodes" in nodes["note"]


def test_a_batch_is_that_of_a_group_however_groups_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, counted, each = _predicted(
        tmp_path,
        capsys,
        WIDE,
        "Qwen/Qwen3-235B-A22B-FP8,h200_sxm,fp8,2000,100,5,4,1,4,1,4",
        "Qwen/Qwen3-235B-A22B-FP8,h200_sxm,fp8,2000,100,5,1,1,,4,1",
        "Qwen/Qwen3-235B-A22B-FP8,h200_sxm,fp8,2000,100,5,1,1,4,2,2",
    )
    assert given["predicted_tpot_ms"] == counted["predicted_tpot_ms"] == each["predicted_tpot_ms"] != ""


def test_an_empty_table_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("")
    assert main(["estimate", "--csv", str(path)]) == 2
    assert "is empty" in capsys.readouterr().err
