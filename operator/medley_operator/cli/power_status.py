"""`medley power status [DOMAIN]`: the power domains of a cluster, and the events that are not over.

Reads with the user's own rights and writes nothing. Exit status: 0, or 2 where the cluster cannot be used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medley_operator.cli.in_cluster import list_all, parsed, run_with_client
from medley_planner.cli.arguments import BadOption
from medley_planner.cli.output import JSON, TABLE, WIDE, YAML, add_output_option, print_document
from medley_planner.exit_status import ExitStatus

if TYPE_CHECKING:
    from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent
    from medley_operator.kube.client import PersonClient

_HEAD = ("DOMAIN", "MODE", "LEVEL", "REASON", "WATTS", "BUDGET", "CAPPED")
_WIDE_HEAD = ("HEADROOM", "NODES", "PARENT", "SINCE")


@dataclass(frozen=True, slots=True)
class PowerState:
    """Domains by name, and their events that are not over."""

    domains: Sequence[PowerDomain]
    events: Sequence[PowerEvent]


def add_parser(ways: Any) -> None:
    """Adds it to the subparsers of `medley power`."""
    status = ways.add_parser(
        "status",
        help="show power domains: level, watts, budget",
        description="Show the PowerDomains of the kubeconfig's cluster, and the PowerEvents that are not over. Needs "
        "the right to list both.",
    )
    status.add_argument("domain", metavar="DOMAIN", nargs="?", help="name of a PowerDomain; default: all")
    add_output_option(status, (TABLE, WIDE, JSON, YAML))
    status.set_defaults(power_run=_run)


def _run(args: argparse.Namespace) -> int:
    async def action(client: PersonClient, _namespace: str) -> int:
        state = await read_power(client, args.domain)
        if args.output in (JSON, YAML):
            print_document(status_values(state), form=args.output)
        else:
            print("\n".join(status_lines(state, wide=args.output == WIDE)))
        return ExitStatus.OK

    return run_with_client("power status", action)


async def read_power(client: PersonClient, name: str | None) -> PowerState:
    """All domains, or the one of that name. Raises `BadInput` and `KubeError`."""
    from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent
    from medley_operator.kube.resources import POWER_DOMAINS, POWER_EVENTS

    domains = [parsed(PowerDomain, item) for item in await list_all(client, POWER_DOMAINS)]
    events = [parsed(PowerEvent, item) for item in await list_all(client, POWER_EVENTS)]
    if name is not None:
        domains = [domain for domain in domains if domain.metadata.name == name]
        if not domains:
            raise no_domain(name)
    names = {domain.metadata.name for domain in domains}
    opened = [event for event in events if event.spec.domain in names and event.status.phase != "Ended"]
    return PowerState(
        sorted(domains, key=lambda each: each.metadata.name), sorted(opened, key=lambda each: each.metadata.name)
    )


def no_domain(name: str) -> BadOption:
    return BadOption.whole(f"PowerDomain {name}", 'there is none of this name; "kubectl get pdom" lists all')


def status_values(state: PowerState) -> dict[str, Any]:
    """Domains and events as the API has them: name, and the fields of spec and status that people ask for."""
    return {
        "domains": [
            {
                "name": domain.metadata.name,
                "mode": domain.spec.mode.value,
                "parent": domain.spec.parent,
                **domain.status.model_dump(mode="json", by_alias=True),
            }
            for domain in state.domains
        ],
        "events": [
            {
                "name": event.metadata.name,
                "domain": event.spec.domain,
                "phase": event.status.phase or "New",
                "target": _target(event),
                "start": event.spec.start,
                "end": event.spec.end,
            }
            for event in state.events
        ],
    }


def status_lines(state: PowerState, *, wide: bool = False) -> list[str]:
    """A line for each domain and each event, and one for what is refused."""
    if not state.domains:
        return ["there are no PowerDomains"]
    rows = [_row(domain) + (_more(domain) if wide else ()) for domain in state.domains]
    lines = _table(_HEAD + (_WIDE_HEAD if wide else ()), rows)
    lines += [line for domain in state.domains if (line := _refused(domain))]
    if state.events:
        events = (
            (e.metadata.name, e.spec.domain, e.status.phase or "New", _target(e), e.spec.end) for e in state.events
        )
        lines += ["", *_table(("EVENT", "DOMAIN", "PHASE", "TARGET", "END"), events)]
    return lines


def _row(domain: PowerDomain) -> tuple[str, ...]:
    status = domain.status
    return (
        domain.metadata.name,
        domain.spec.mode.value,
        _known(status.level),
        status.reason or "-",
        _known(status.watts),
        _known(status.budget_watts),
        f"{status.capped_gpus}/{status.gpus}",
    )


def _more(domain: PowerDomain) -> tuple[str, ...]:
    status = domain.status
    return _known(status.headroom_watts), str(status.nodes), domain.spec.parent or "-", status.since or "-"


def _known(value: int | None) -> str:
    return "-" if value is None else str(value)


def _refused(domain: PowerDomain) -> str:
    false = next((each for each in domain.status.conditions if each.status == "False"), None)
    return "" if false is None else f"  {domain.metadata.name}: {false.type} is False, {false.reason}: {false.message}"


def _target(event: PowerEvent) -> str:
    watts = event.status.target_watts or event.spec.target_watts
    return f"{event.spec.target_fraction} of the budget" if watts is None else f"{watts} W"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
