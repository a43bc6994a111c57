"""Dashboards as Grafana reads them: committed as generated, sound, and asking only for what is exported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from medley_operator.dashboards import BOARDS
from medley_operator.dashboards.__main__ import FOLDER
from medley_operator.dashboards.grafana import dashboard
from medley_operator.dashboards.panels import WIDTH, Board, HeatMap, Unit
from tests.exported_metrics import asked, exported

CHART = Path(__file__).parents[4] / "helm" / "medley" / "files" / "dashboards"
each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)


def panels(board: Board) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(board)["panels"] if panel["type"] != "row"]


def test_committed_dashboards_are_what_is_generated() -> None:
    committed = {path.name: path.read_text() for path in CHART.glob("*")}
    assert committed == dict(FOLDER.documents), "run make dashboards"


def test_check_tells_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert FOLDER.main(["--output", str(tmp_path)]) == 0
    assert FOLDER.main(["--output", str(tmp_path), "--check"]) == 0
    changed = tmp_path / "power.json"
    changed.write_text(changed.read_text().replace('"unit": "watt"', '"unit": "kwatt"'))
    assert FOLDER.main(["--output", str(tmp_path), "--check"]) == 1
    told = capsys.readouterr().out
    assert re.search(r'^-\s+"unit": "kwatt"', told, re.MULTILINE)
    assert "run make dashboards" in told


def test_addresses_and_titles_are_one_board_s() -> None:
    boards = [dashboard(board) for board in BOARDS]
    for name in ("uid", "title"):
        assert len({board[name] for board in boards}) == len(BOARDS)
    assert all(re.fullmatch(r"[\w-]{1,40}", board["uid"]) for board in boards)


@each_board
def test_panels_do_not_overlap(board: Board) -> None:
    taken: set[tuple[int, int]] = set()
    shown = dashboard(board)["panels"]
    assert [panel["id"] for panel in shown] == list(range(1, len(shown) + 1))
    for panel in shown:
        g = panel["gridPos"]
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        assert not cells & taken, panel["title"]
        assert g["x"] + g["w"] <= WIDTH
        taken |= cells


@each_board
def test_rows_have_no_gap(board: Board) -> None:
    """Widths of a section's panels fill the board's, so that nothing looks lost."""
    for section in board.sections:
        assert sum(panel.width for panel in section.panels) % WIDTH == 0, section.title


@each_board
def test_every_panel_has_a_unit_and_a_title_of_its_own(board: Board) -> None:
    titles = [(section.title, panel.title) for section in board.sections for panel in section.panels]
    assert len(set(titles)) == len(titles)
    for panel in panels(board):
        axis = panel["options"].get("yAxis", panel["fieldConfig"]["defaults"])
        assert axis["unit"] in set(Unit), panel["title"]


@each_board
def test_several_lines_have_legends_that_tell_them_apart(board: Board) -> None:
    for panel in board.panels:
        legends = [query.legend for query in panel.queries]
        if len(legends) > 1:
            assert all(legends), panel.title
            assert len(set(legends)) == len(legends), panel.title
        for query in panel.queries:
            for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
                assert re.search(rf"by \([^)]*\b{label}\b[^)]*\)", query.expr), (panel.title, label)
        if isinstance(panel, HeatMap):
            assert all("by (le)" in query.expr for query in panel.queries)


@each_board
def test_queries_ask_only_for_metrics_that_are_exported(board: Board) -> None:
    known = exported()
    for query in board.queries:
        assert asked(query.expr), query.expr
        assert asked(query.expr) <= known, query.expr
    for variable in board.variables:
        assert asked(variable.selector) <= known


@each_board
def test_every_series_is_chosen_by_the_board_s_variables(board: Board) -> None:
    """Each selector has the variables whose label its metric has, so that a choice never shows half of a panel."""
    names = {variable.name for variable in board.variables}
    used = {name for query in board.queries for name in re.findall(r"\$(\w+)", query.expr)} - {"__rate_interval"}
    assert used == names
    for query in board.queries:
        for metric, selector in re.findall(r"(medley(?:_\w+|(?::\w+)+))(\{[^}]*\})?", query.expr):
            wanted = ["cluster"]
            if re.match(r"medley_(service|variant|predicted)_|medley:", metric) and "service" in names:
                wanted += ["namespace", "service"]
            if re.match(r"medley_power_(?!node|leader|writes|errors)", metric):
                wanted += ["domain"]
            for name in wanted:
                assert f'{name}=~"${name}"' in selector, query.expr


@each_board
def test_rates_follow_the_step_of_the_graph(board: Board) -> None:
    for query in board.queries:
        for window in re.findall(r"\brate\([^\[]*\[([^\]]*)\]", query.expr):
            assert window == "$__rate_interval", query.expr


@each_board
def test_every_source_is_the_variable(board: Board) -> None:
    shown = dashboard(board)
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert shown["templating"]["list"][0]["name"] == "datasource"
    for panel in panels(board):
        assert panel["datasource"] == source
        assert all(target["datasource"] == source for target in panel["targets"])
    assert all(variable["datasource"] == source for variable in shown["templating"]["list"][1:])
    assert all(annotation["datasource"] == source for annotation in shown["annotations"]["list"])
