"""Runs the product, and writes a picture of each dashboard and of the live page.

The demo's acts are played for most, and two racks under power capping for the dashboard of power, which needs a C
compiler.
"""

from __future__ import annotations

import argparse
import sys
import time
import urllib.request
from pathlib import Path

from rich.console import Console

from e2e.controlplane import ensure_assets
from e2e.dashboard import dashboards
from e2e.demo import Demo
from e2e.harness import EXAMPLES, OPERATOR_NAMESPACE, ROOT, Harness
from e2e.pictures.collect import Answers, answers
from e2e.pictures.draw import WIDTH, picture
from e2e.power.cases import cross, shed
from e2e.power.world import PowerWorld
from medley_operator.dashboards import BOARDS
from medley_operator.dashboards.grafana import dashboard
from tests.browser.chromium import Chromium, running

OUTPUT = ROOT / "docs" / "dashboards"
POWER = "power"
LAST_SECONDS = 60


def played_demo(logs: Path) -> tuple[str, list[Answers]]:
    """The live page at the end of the demo, and all boards but that of power. On an error logs go to `logs`."""
    with Harness.start(say=print, assets=ensure_assets(), logs_to=logs, operator_arguments=("--ui=on",)) as harness:
        started = time.time()
        harness.apply(EXAMPLES / "quickstart" / "namespace.yaml", EXAMPLES / "quickstart")
        Demo(harness, Console(width=160, soft_wrap=True)).run()
        # Rates of five minutes have what came last.
        time.sleep(LAST_SECONDS)
        with urllib.request.urlopen(f"{harness.operator_url}/ui", timeout=30) as answer:
            page = answer.read().decode()
        maps = harness.list_objects("configmaps", OPERATOR_NAMESPACE, "grafana_dashboard=1")
        boards = [board for config_map in maps for board in dashboards(config_map)]
        asked = (answers(board, harness.prometheus_url, start=started, end=time.time()) for board in boards)
        return page, [found for found in asked if found.name != POWER]


def played_power() -> Answers:
    """The board of power, from a rack that is capped, and held to less for some time."""
    with PowerWorld.start() as world:
        started = time.time()
        for play in (cross, shed):
            world.calm()
            print("; ".join(play(world)))
        (board,) = (dashboard(board) for board in BOARDS if board.name == POWER)
        return answers(board, world.prometheus_url, start=started, end=time.time())


def draw(board: Answers, folder: Path) -> tuple[Path, int]:
    """Writes the picture; returns its file and its height."""
    svg, height = picture(board)
    path = folder / f"{board.name}.svg"
    path.write_text(svg, encoding="utf-8")
    print(f"{path}: {len(svg) / 1000:.0f} kB")
    return path, height


def shown(browser: Chromium, path: Path, height: int, folder: Path) -> None:
    """Writes into `folder` how Chromium shows the picture."""
    with browser.visit_html(path.read_text(encoding="utf-8")) as visit:
        visit.page.set_viewport_size({"width": WIDTH, "height": height})
        visit.page.screenshot(path=folder / f"{path.stem}.png")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.pictures", description=__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder of the pictures (default: docs/dashboards)")
    parser.add_argument("--pixels", type=Path, help="folder for what Chromium shows of each, to be looked at")
    parser.add_argument("--only", choices=("demo", POWER), help="play this alone, and draw what it fills")
    options = parser.parse_args()
    for folder in filter(None, (options.output, options.pixels)):
        folder.mkdir(parents=True, exist_ok=True)
    drawn: list[tuple[Path, int]] = []
    if options.only != POWER:
        page, boards = played_demo(Path("pictures-logs"))
        drawn += [draw(board, options.output) for board in boards]
        # A browser starts when nothing else runs, so that it takes no processor from the product.
        with running() as browser, browser.visit_html(page) as visit:
            visit.page.screenshot(path=options.output / "live-page.png", full_page=True)
    if options.only != "demo":
        drawn.append(draw(played_power(), options.output))
    if options.pixels is not None:
        with running() as browser:
            for path, height in drawn:
                shown(browser, path, height, options.pixels)
    return 0


if __name__ == "__main__":
    sys.exit(main())
