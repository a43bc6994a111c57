"""Typed panels of dashboards: what is asked of Prometheus, how it is shown, and how it is proved to show something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

OF_CLUSTER = 'cluster=~"$cluster"'
OF_SERVICE = f'{OF_CLUSTER},namespace=~"$namespace",service=~"$service"'
WIDTH = 24
"""Columns of a Grafana dashboard."""


class Unit(StrEnum):
    """Units by Grafana's names."""

    COUNT = "short"
    DOLLARS = "currencyUSD"
    SHARE = "percentunit"
    REQUESTS_PER_SECOND = "reqps"
    PER_SECOND = "ops"
    SECONDS = "s"
    WATTS = "watt"
    KILOWATT_HOURS = "kwatth"
    TOKENS = "none"


class Proof(StrEnum):
    """Where a query is proved to answer. RUN: in the end-to-end run. SERIES: on given series in
    tests/contract/test_dashboard_queries.py, because only trouble, time, a power domain or GPUs fill it."""

    RUN = "run"
    SERIES = "series"


@dataclass(frozen=True, slots=True)
class Query:
    """`legend` with `{{label}}`; `expr` has Grafana's variables in it."""

    expr: str
    legend: str = ""
    proof: Proof = Proof.RUN


@dataclass(frozen=True, kw_only=True)
class Panel:
    """`width` in columns of 24, `height` in rows of Grafana."""

    kind: ClassVar[str]
    title: str
    queries: Sequence[Query]
    unit: Unit
    description: str = ""
    width: int = 12
    height: int = 8


@dataclass(frozen=True, kw_only=True)
class Stat(Panel):
    """The last value. From `warn` on it is orange, from `bad` on red; the other way round where `low` is bad."""

    kind: ClassVar[str] = "stat"
    width: int = 4
    height: int = 4
    warn: float | None = None
    bad: float | None = None
    low: bool = False


@dataclass(frozen=True, kw_only=True)
class Lines(Panel):
    """Lines over time. `stacked`: as areas on top of each other. `band`: the line that the area below another reaches
    down to, both by their legends. `steps`: values stay until the next."""

    kind: ClassVar[str] = "timeseries"
    stacked: bool = False
    steps: bool = False
    band: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class HeatMap(Panel):
    """A histogram over time, by `le`."""

    kind: ClassVar[str] = "heatmap"


@dataclass(frozen=True, kw_only=True)
class Matrix(Panel):
    """The last values of one query by two labels, as coloured cells."""

    kind: ClassVar[str] = "table"
    rows: str
    columns: str


@dataclass(frozen=True, kw_only=True)
class Table(Panel):
    """The last series, a row each, with these labels as columns."""

    kind: ClassVar[str] = "table"
    labels: Sequence[str]


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable that is asked of Prometheus: the values of `label` of `selector`. `every`: several or all."""

    name: str
    label: str
    selector: str
    every: bool = True


@dataclass(frozen=True, slots=True)
class Annotation:
    """Marks at times: the values of `query` are Unix times in milliseconds."""

    title: str
    query: Query
    text: str


@dataclass(frozen=True, slots=True)
class Board:
    """`name`: of its file, and of its address after `medley-`."""

    name: str
    title: str
    description: str
    variables: Sequence[Variable]
    sections: Sequence[Section]
    annotations: Sequence[Annotation] = field(default=())

    @property
    def panels(self) -> list[Panel]:
        return [panel for section in self.sections for panel in section.panels]

    @property
    def queries(self) -> list[Query]:
        """Those of annotations included."""
        asked = [query for panel in self.panels for query in panel.queries]
        return [*asked, *(annotation.query for annotation in self.annotations)]


CLUSTER = Variable("cluster", "cluster", "medley_leader")
NAMESPACE = Variable("namespace", "namespace", f"medley_service_request_rate{{{OF_CLUSTER}}}")
SERVICE = Variable("service", "service", f'medley_service_request_rate{{{OF_CLUSTER},namespace=~"$namespace"}}')
