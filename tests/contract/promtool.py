"""Series of one's own in the real PromQL engine, by `promtool test rules`."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from e2e.controlplane.build import ensure_assets

FILES = Path(__file__).parents[2] / "helm" / "medley" / "files"
ALERT_FILES = sorted((FILES / "alerts").glob("*.yaml"))
RULE_FILES = sorted((FILES / "rules").glob("*.yaml"))


def promtool(*arguments: str) -> None:
    """Fails with promtool's own words."""
    command = [str(ensure_assets().promtool), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def check(
    folder: Path,
    series: Mapping[str, str],
    *,
    rules: Sequence[Path],
    interval: str,
    alerts: Sequence[Mapping[str, Any]] = (),
    queries: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Tests alerts and queries on the series, whose values follow at `interval`."""
    case = {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": list(alerts),
        "promql_expr_test": list(queries),
    }
    path = folder / "test.yaml"
    path.write_text(
        yaml.safe_dump({"rule_files": [str(rule) for rule in rules], "evaluation_interval": interval, "tests": [case]})
    )
    promtool("test", "rules", str(path))
