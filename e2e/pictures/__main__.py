"""Runs the demo's acts on the whole product, and writes a picture of each dashboard that has data."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from e2e.controlplane import ensure_assets
from e2e.dashboard import dashboards
from e2e.demo import Demo
from e2e.harness import EXAMPLES, OPERATOR_NAMESPACE, ROOT, Harness
from e2e.pictures.collect import Answers, answers
from e2e.pictures.draw import WIDTH, picture
from tests.browser.chromium import running

OUTPUT = ROOT / "docs" / "dashboards"
LAST_SECONDS = 60


def draw(board: Answers, folder: Path, pixels: Path | None) -> str:
    """Writes the picture; returns a line on it. A board without any data has none."""
    if not any(answered.series for answered in board.panels):
        return f"{board.name}: no data"
    svg, height = picture(board)
    path = folder / f"{board.name}.svg"
    path.write_text(svg, encoding="utf-8")
    if pixels is not None:
        with running() as browser, browser.visit_html(svg) as visit:
            visit.page.set_viewport_size({"width": WIDTH, "height": height})
            visit.page.screenshot(path=pixels / f"{board.name}.png")
    return f"{path}: {len(svg) / 1000:.0f} kB"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.pictures", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the pictures (default: docs/dashboards)")
    parser.add_argument("--pixels", type=Path, help="folder for what Chromium shows of each, to be looked at")
    options = parser.parse_args()
    for folder in filter(None, (options.output, options.pixels)):
        folder.mkdir(parents=True, exist_ok=True)
    console = Console(width=160, soft_wrap=True)
    with Harness.start(say=print, assets=ensure_assets()) as harness:
        started = time.time()
        harness.apply(EXAMPLES / "quickstart" / "namespace.yaml", EXAMPLES / "quickstart")
        Demo(harness, console).run()
        # Rates of five minutes have what came last.
        time.sleep(LAST_SECONDS)
        maps = harness.list_objects("configmaps", OPERATOR_NAMESPACE, "grafana_dashboard=1")
        found = [
            answers(board, harness.prometheus_url, start=started, end=time.time())
            for config_map in maps
            for board in dashboards(config_map)
        ]
    for board in found:
        print(draw(board, options.output, options.pixels))
    return 0


if __name__ == "__main__":
    sys.exit(main())
