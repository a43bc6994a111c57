"""The dashboard of power: domains against their budgets, caps by node, meters, leases, and energy per token."""

from __future__ import annotations

from medley_operator.dashboards.panels import (
    OF_CLUSTER,
    Board,
    Lines,
    Proof,
    Query,
    Section,
    Stat,
    Unit,
    Variable,
)

_OF_DOMAIN = f'{OF_CLUSTER},domain=~"$domain"'
_IN = f"{{{OF_CLUSTER}}}"


def _domain(metric: str) -> str:
    return f"max by (domain) (medley_power_{metric}{{{_OF_DOMAIN}}})"


def _node(metric: str) -> str:
    return f"max by (node) (medley_power_node_{metric}{_IN})"


def _asked(expr: str, legend: str = "") -> Query:
    return Query(expr, legend, proof=Proof.SERIES)


_NOW = Section(
    "Now",
    (
        Stat(
            title="Highest level",
            unit=Unit.COUNT,
            queries=[_asked(f"max(medley_power_level{{{_OF_DOMAIN}}})")],
            warn=1,
            bad=2,
        ),
        Stat(
            title="Least headroom",
            unit=Unit.SHARE,
            queries=[_asked(f"min({_domain('headroom_watts')} / {_domain('budget_watts')})")],
            low=True,
            warn=0.15,
            bad=0.05,
        ),
        Stat(
            title="Domains braking",
            unit=Unit.COUNT,
            queries=[_asked(f"sum({_domain('brake')})")],
            bad=1,
        ),
        Stat(
            title="Domains without a meter",
            unit=Unit.COUNT,
            queries=[_asked(f"sum({_domain('blind')})")],
            bad=1,
        ),
        Stat(
            title="Domains refused",
            unit=Unit.COUNT,
            queries=[_asked(f"sum({_domain('refused')})")],
            bad=1,
        ),
        Stat(
            title="GPUs capped",
            unit=Unit.COUNT,
            queries=[_asked(f"sum({_node('gpus_capped')})")],
        ),
    ),
)
_DOMAINS = Section(
    "Domains",
    (
        Lines(
            title="Watts and budget",
            unit=Unit.WATTS,
            queries=[
                _asked(_domain("watts"), "{{domain}}"),
                _asked(_domain("budget_watts"), "{{domain}} budget"),
            ],
        ),
        Lines(title="Headroom", unit=Unit.WATTS, queries=[_asked(_domain("headroom_watts"), "{{domain}}")]),
        Lines(
            title="Level",
            unit=Unit.COUNT,
            description="0 is uncapped.",
            steps=True,
            queries=[_asked(_domain("level"), "{{domain}}")],
        ),
        Lines(
            title="Software brake",
            unit=Unit.COUNT,
            steps=True,
            queries=[_asked(_domain("brake"), "{{domain}}")],
        ),
        Lines(
            title="Age of the meter's reading",
            unit=Unit.SECONDS,
            queries=[_asked(_domain("meter_age_seconds"), "{{domain}}")],
        ),
        Lines(
            title="Meter not readable",
            unit=Unit.COUNT,
            steps=True,
            queries=[_asked(_domain("blind"), "{{domain}}")],
        ),
    ),
)
_NODES = Section(
    "Nodes",
    (
        Lines(
            title="GPUs to be capped by node",
            unit=Unit.COUNT,
            stacked=True,
            steps=True,
            queries=[_asked(_node("gpus_capped"), "{{node}}")],
        ),
        Lines(
            title="Power limit in force by node",
            unit=Unit.WATTS,
            description="Sum over the node's GPUs, as its agent reads it back from the boards.",
            queries=[_asked(f"sum by (node) (medley_agent_gpu_enforced_watts{_IN})", "{{node}}")],
        ),
        Lines(
            title="Age of the caps' lease",
            unit=Unit.SECONDS,
            queries=[_asked(_node("lease_age_seconds"), "{{node}}")],
        ),
        Lines(
            title="Agents without a lease",
            unit=Unit.COUNT,
            description="The lease of their caps is over: they hold their GPUs at the safe limit.",
            steps=True,
            queries=[_asked(f"max by (node) (medley_agent_lease_seconds{_IN} < bool 0)", "{{node}}")],
        ),
        Lines(
            title="Caps not in force yet",
            unit=Unit.COUNT,
            steps=True,
            queries=[_asked(_node("caps_behind"), "{{node}}")],
        ),
        Lines(
            title="GPUs held by the facility's brake",
            unit=Unit.COUNT,
            steps=True,
            queries=[_asked(f"sum by (node) (medley_agent_gpu_power_brake{_IN})", "{{node}}")],
        ),
    ),
)
_ENERGY = Section(
    "Energy and controller",
    (
        Lines(
            title="Energy per million tokens",
            unit=Unit.KILOWATT_HOURS,
            description="Of all GPUs with an agent, by all prompt and generated tokens. Recorded by the chart's rules.",
            width=8,
            queries=[
                _asked(
                    f"sum(medley_agent_gpu_usage_watts{_IN}) / (sum(medley:tokens:rate5m{_IN}) > 0) / 3.6",
                    "all services",
                )
            ],
        ),
        Lines(
            title="Writes and errors of the controller",
            unit=Unit.PER_SECOND,
            width=8,
            queries=[
                _asked(
                    f"sum by (kind, verb) (rate(medley_power_writes_total{_IN}[$__rate_interval]))", "{{kind}} {{verb}}"
                ),
                _asked(
                    f"sum by (component) (rate(medley_power_errors_total{_IN}[$__rate_interval])) > 0",
                    "errors: {{component}}",
                ),
            ],
        ),
        Lines(
            title="Leader",
            unit=Unit.COUNT,
            width=8,
            steps=True,
            queries=[_asked(f"max by (instance) (medley_power_leader{_IN})", "{{instance}}")],
        ),
    ),
)
POWER = Board(
    name="power",
    title="Medley power",
    description="Power domains against their budgets, caps by node, meters, leases, and energy per token.",
    variables=(
        Variable("cluster", "cluster", "medley_power_leader"),
        Variable("domain", "domain", f"medley_power_level{_IN}"),
    ),
    sections=(_NOW, _DOMAINS, _NODES, _ENERGY),
)
