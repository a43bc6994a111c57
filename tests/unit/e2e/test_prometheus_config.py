"""The scrape configuration: real discovery, bent to the fleet, with the labels that the operator reads."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.controlplane.build import cache_root
from e2e.prometheus import scrape_config


def config() -> str:
    return scrape_config(
        kubeconfig=Path("/run/kubeconfig"), fleet_address="http://127.0.0.1:9", operator_address="127.0.0.1:8"
    )


def promtool() -> str | None:
    built = sorted((cache_root(os.environ) / "controlplane").glob("prometheus-*/promtool"))
    return str(built[-1]) if built else shutil.which("promtool")


def test_engines_are_found_by_label_and_scraped_at_the_fleet() -> None:
    engines, operator = yaml.safe_load(config())["scrape_configs"]
    (discovery,) = engines["kubernetes_sd_configs"]
    assert discovery["selectors"] == [{"role": "pod", "label": "app.kubernetes.io/component=engine"}]
    assert discovery["kubeconfig_file"] == "/run/kubeconfig"
    address = next(rule for rule in engines["relabel_configs"] if rule.get("target_label") == "__address__")
    assert address["replacement"] == "127.0.0.1:9"
    assert operator["static_configs"] == [{"targets": ["127.0.0.1:8"]}]


def test_without_an_operator_there_is_only_the_engines_job() -> None:
    text = scrape_config(kubeconfig=Path("k"), fleet_address="127.0.0.1:9")
    jobs: list[dict[str, Any]] = yaml.safe_load(text)["scrape_configs"]
    assert [job["job_name"] for job in jobs] == ["engines"]


def test_promtool_accepts_it(tmp_path: Path) -> None:
    tool = promtool()
    if tool is None:
        pytest.skip("promtool is neither built nor on PATH; `make controlplane` builds it")
    (tmp_path / "kubeconfig").write_text("{}")
    path = tmp_path / "prometheus.yaml"
    path.write_text(scrape_config(kubeconfig=tmp_path / "kubeconfig", fleet_address="127.0.0.1:9"))
    done = subprocess.run([tool, "check", "config", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
