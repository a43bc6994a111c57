"""Dashboards as Grafana reads them: the classic JSON model, which Grafana 12 and 13 import and its sidecar loads."""

from __future__ import annotations

import json
from typing import Any

from medley_operator.dashboards.panels import (
    WIDTH,
    Annotation,
    Board,
    HeatMap,
    Lines,
    Matrix,
    Panel,
    Query,
    Section,
    Stat,
    Table,
    Variable,
)

SCHEMA_VERSION = 42
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_GREEN, _ORANGE, _RED = "green", "orange", "red"


def document(board: Board) -> str:
    """The text of the board's file; the same for the same board."""
    return json.dumps(dashboard(board), indent=2) + "\n"


def dashboard(board: Board) -> dict[str, Any]:
    return {
        "uid": f"medley-{board.name}",
        "title": board.title,
        "description": board.description,
        "tags": ["medley", "llm"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "templating": {"list": [_datasource(), *map(_variable, board.variables)]},
        "annotations": {"list": [_annotation(each) for each in board.annotations]},
        "links": [
            {
                "type": "dashboards",
                "title": "Medley",
                "tags": ["medley"],
                "asDropdown": True,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "panels": _placed(board),
    }


def _placed(board: Board) -> list[dict[str, Any]]:
    """Panels from left to right, section by section; each section begins with its title."""
    found: list[dict[str, Any]] = []
    top = 0
    for section in board.sections:
        found.append(_heading(section, len(found) + 1, top))
        top += 1
        left = tallest = 0
        for panel in section.panels:
            if left + panel.width > WIDTH:
                top, left, tallest = top + tallest, 0, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            found.append({"id": len(found) + 1, "gridPos": place, **_panel(panel)})
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return found


def _heading(section: Section, number: int, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": section.title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel) -> dict[str, Any]:
    shown = {
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "targets": [_target(panel, query, at) for at, query in enumerate(panel.queries)],
    }
    if panel.description:
        shown["description"] = panel.description
    match panel:
        case Stat():
            return shown | _stat(panel)
        case Lines():
            return shown | _lines(panel)
        case HeatMap():
            return shown | _heat_map(panel)
        case Matrix():
            return shown | _matrix(panel)
        case Table():
            return shown | _table(panel)
    raise TypeError(panel)


def _target(panel: Panel, query: Query, at: int) -> dict[str, Any]:
    now = isinstance(panel, Matrix | Table)
    kind = "table" if now else "heatmap" if isinstance(panel, HeatMap) else "time_series"
    legend = "{{le}}" if isinstance(panel, HeatMap) else query.legend
    return {
        "refId": chr(ord("A") + at),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": legend or "__auto",
        "format": kind,
        "instant": now,
        "range": not now,
        "editorMode": "code",
    }


def _stat(panel: Stat) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": _GREEN, "value": None}]
    marks = [(_ORANGE, panel.warn), (_RED, panel.bad)]
    if panel.low:
        steps = [{"color": _RED, "value": None}]
        marks = [(_ORANGE, panel.bad), (_GREEN, panel.warn)]
    steps += [{"color": colour, "value": value} for colour, value in marks if value is not None]
    return {
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "color": {"mode": "thresholds"},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "area",
            "textMode": "auto",
            "orientation": "auto",
            "justifyMode": "auto",
        },
    }


def _lines(panel: Lines) -> dict[str, Any]:
    overrides = []
    if panel.band is not None:
        upper, lower = panel.band
        fill = [{"id": "custom.fillBelowTo", "value": lower}, {"id": "custom.fillOpacity", "value": 20}]
        overrides.append({"matcher": {"id": "byName", "options": upper}, "properties": fill})
    drawn = {
        "drawStyle": "line",
        "lineInterpolation": "stepAfter" if panel.steps else "linear",
        "lineWidth": 1,
        "fillOpacity": 30 if panel.stacked else 0,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
    }
    return {
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "color": {"mode": "palette-classic"}, "custom": drawn},
            "overrides": overrides,
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _heat_map(panel: HeatMap) -> dict[str, Any]:
    return {
        "fieldConfig": {"defaults": {"custom": {"scaleDistribution": {"type": "linear"}}}, "overrides": []},
        "options": {
            "calculate": False,
            "color": {"mode": "scheme", "scheme": "Blues", "steps": 64, "exponent": 0.5, "reverse": False},
            "cellGap": 1,
            "yAxis": {"unit": panel.unit, "axisPlacement": "left"},
            "rowsFrame": {"layout": "auto"},
            "tooltip": {"mode": "single", "yHistogram": False},
            "legend": {"show": False},
            "filterValues": {"le": 1e-9},
        },
    }


def _matrix(panel: Matrix) -> dict[str, Any]:
    cells = {"cellOptions": {"type": "color-background", "mode": "basic"}, "align": "center"}
    grouping = {"columnField": panel.columns, "rowField": panel.rows, "valueField": "Value"}
    return {
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "decimals": 1, "color": {"mode": "continuous-blues"}, "custom": cells},
            "overrides": [],
        },
        "options": {"showHeader": True, "cellHeight": "md"},
        "transformations": [{"id": "groupingToMatrix", "options": grouping}],
    }


def _table(panel: Table) -> dict[str, Any]:
    return {
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": {"align": "auto"}}, "overrides": []},
        "options": {"showHeader": True, "cellHeight": "sm"},
        "transformations": [
            {"id": "filterFieldsByName", "options": {"include": {"names": list(panel.labels)}}},
        ],
    }


def _annotation(annotation: Annotation) -> dict[str, Any]:
    return {
        "name": annotation.title,
        "enable": True,
        "hide": False,
        "iconColor": _ORANGE,
        "datasource": SOURCE,
        "target": {"refId": "Annotation", "expr": annotation.query.expr, "interval": ""},
        "titleFormat": annotation.title,
        "textFormat": annotation.text,
        "useValueForTime": True,
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }


def _variable(variable: Variable) -> dict[str, Any]:
    asked = f"label_values({variable.selector}, {variable.label})"
    shown: dict[str, Any] = {
        "name": variable.name,
        "label": variable.name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": asked, "refId": variable.name},
        "definition": asked,
        "refresh": 2,
        "sort": 1,
        "multi": variable.every,
        "includeAll": variable.every,
        "current": {},
    }
    if variable.every:
        # Series without the label count as well: most have no cluster.
        shown |= {"allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}}
    return shown
