"""The query of calibration in the real PromQL engine, on series that promtool makes: no server and no waiting."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from e2e.controlplane import ensure_assets
from medley_operator.metrics.calibration_queries import calibration_query
from medley_operator.metrics.engine_names import VLLM

pytestmark = pytest.mark.contract

SCRAPE_SECONDS = 15
OLD, YOUNG = 40, 6
"""Scrapes of a pod that is ten minutes old, and of one that is 90 s old."""
# Per scrape, counters grow by: 500 steps, 9,000 prompt tokens, 3,000 of them hits, 6 prompts, 5,000 decodes of 20 ms.
GROWTH = {
    "iteration_tokens_total_count": 500,
    "prompt_tokens_total": 9000,
    "prefix_cache_hits_total": 3000,
    "time_to_first_token_seconds_count": 6,
    "inter_token_latency_seconds_count": 5000,
    "inter_token_latency_seconds_sum": 100,
    "num_preemptions_total": 0,
}
GAUGES = {"num_requests_running": 10.0, "num_requests_waiting": 2.0, "kv_cache_usage_perc": 0.25}
SIZES = {"num_gpu_blocks": "250", "block_size": "16"}
OLD_NAMES = {
    "inter_token_latency_seconds": "time_per_output_token_seconds",
    "kv_cache_usage_perc": "gpu_cache_usage_perc",
}


def pod(
    name: str, *, scrapes: int, variant: str = "l4", job: str = "engines", replica: str = "", times: float = 1.0
) -> list[dict[str, str]]:
    """The series of one pod's one target; a younger one begins later."""
    labels = {
        "namespace": "demo",
        "medley_dev_service": "llama",
        "medley_dev_variant": variant,
        "pod_template_hash": "5d4f",
        "pod": name,
        "job": job,
        "instance": f"{name}:8000",
        "engine": "0",
        **({"prometheus_replica": replica} if replica else {}),
    }
    late = f"_x{OLD - scrapes} " if scrapes < OLD else ""
    series = [(metric, f"{late}0+{growth * times:g}x{scrapes}", labels) for metric, growth in GROWTH.items()]
    series += [(metric, f"{late}{value * times:g}x{scrapes}", labels) for metric, value in GAUGES.items()]
    series.append(("cache_config_info", f"{late}1x{scrapes}", labels | SIZES))
    return [{"series": _series(metric, own), "values": values} for metric, values, own in series]


def _series(metric: str, labels: dict[str, str]) -> str:
    return f"vllm:{metric}{{{','.join(f'{name}={chr(34)}{value}{chr(34)}' for name, value in labels.items())}}}"


def renamed(series: list[dict[str, str]]) -> list[dict[str, str]]:
    """As an engine of an older version names them."""
    text = yaml.safe_dump(series)
    for new, old in OLD_NAMES.items():
        text = text.replace(f"vllm:{new}", f"vllm:{old}")
    changed: list[dict[str, str]] = yaml.safe_load(text)
    return changed


def expected(variant: str, *, pods: int) -> list[dict[str, object]]:
    """Four scrapes' growth of each pod, and the sums of the gauges' means."""
    figures = {
        "engines": pods,
        "steps": 2000 * pods,
        "prompt_tokens": 36_000 * pods,
        "prefix_hits": 12_000 * pods,
        "prompts": 24 * pods,
        "decodes": 20_000 * pods,
        "decode_seconds": 400 * pods,
        "preemptions": 0,
        "running": 10 * pods,
        "waiting": 2 * pods,
        "kv_usage": 0.25 * pods,
    }
    labels = {
        "namespace": "demo",
        "medley_dev_service": "llama",
        "medley_dev_variant": variant,
        "pod_template_hash": "5d4f",
    }
    told: list[dict[str, object]] = [_sample(labels | {"medley_role": role}, value) for role, value in figures.items()]
    return [*told, _sample(labels | SIZES | {"medley_role": "cache"}, 1)]


def _sample(labels: dict[str, str], value: float) -> dict[str, object]:
    inside = ", ".join(f'{name}="{labels[name]}"' for name in sorted(labels))
    return {"labels": f"{{{inside}}}", "value": value}


def check(folder: Path, series: list[dict[str, str]], samples: list[dict[str, object]]) -> None:
    """Fails with promtool's own words where the answer is another one."""
    test = {
        "interval": f"{SCRAPE_SECONDS}s",
        "input_series": series,
        "promql_expr_test": [
            {
                "expr": calibration_query(VLLM, window_seconds=60),
                "eval_time": f"{OLD * SCRAPE_SECONDS}s",
                "exp_samples": samples,
            }
        ],
    }
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": [test]}))
    promtool = ensure_assets().promtool
    done = subprocess.run([str(promtool), "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pods_are_summed_and_one_that_two_jobs_scrape_counts_once(tmp_path: Path) -> None:
    series = [*pod("a", scrapes=OLD), *pod("b", scrapes=OLD), *pod("b", scrapes=OLD, job="again")]
    check(tmp_path, series, expected("l4", pods=2))


def test_a_pod_that_an_ha_pair_of_prometheis_scrapes_counts_once(tmp_path: Path) -> None:
    pair = [series for replica in ("a", "b") for series in pod("a", scrapes=OLD, replica=replica)]
    check(tmp_path, pair, expected("l4", pods=1))


def test_young_pods_do_not_count(tmp_path: Path) -> None:
    check(tmp_path, [*pod("a", scrapes=OLD), *pod("b", scrapes=YOUNG, times=7)], expected("l4", pods=1))


def test_pods_that_are_gone_do_not_count(tmp_path: Path) -> None:
    gone = [
        entry | {"values": entry["values"].replace(f"x{OLD}", f"x{OLD - 2}") + " stale"}
        for entry in pod("b", scrapes=OLD)
    ]
    check(tmp_path, [*pod("a", scrapes=OLD), *gone], expected("l4", pods=1))


def test_pods_of_old_and_new_names_stand_beside_each_other(tmp_path: Path) -> None:
    check(tmp_path, [*pod("a", scrapes=OLD), *renamed(pod("b", scrapes=OLD))], expected("l4", pods=2))


def test_a_reset_is_no_negative_count_and_variants_are_kept_apart(tmp_path: Path) -> None:
    # The counter fell to 0 at the last scrape: two thirds of the growth within the samples, stretched to the window.
    again = [
        entry | {"values": entry["values"].replace(f"x{OLD}", f"x{OLD - 1} 0")}
        if "_total" in entry["series"] and "prompt_tokens" in entry["series"]
        else entry
        for entry in pod("a", scrapes=OLD, variant="h100")
    ]
    samples = expected("h100", pods=1)
    for sample in samples:
        if "prompt_tokens" in str(sample["labels"]):
            sample["value"] = 24_000
    check(tmp_path, [*pod("b", scrapes=OLD), *again], [*expected("l4", pods=1), *samples])
