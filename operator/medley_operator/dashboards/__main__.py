"""Writes or compares the dashboards of the chart."""

from __future__ import annotations

from pathlib import Path

from medley_operator.dashboards import BOARDS
from medley_operator.dashboards.grafana import document
from medley_operator.generated import GeneratedFolder

FOLDER = GeneratedFolder(
    description="Generate the Grafana dashboards of the chart.",
    documents={f"{board.name}.json": document(board) for board in BOARDS},
    pattern="*.json",
    folder=Path("helm/medley/files/dashboards"),
    target="dashboards",
)

if __name__ == "__main__":
    raise SystemExit(FOLDER.main())
