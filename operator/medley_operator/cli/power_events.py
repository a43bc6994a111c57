"""`medley power status|shed|release`: the power domains of a cluster, and events that hold one to less for some time.

Reads and writes with the user's own rights. Exit status: 0 done, 2 bad input, or the cluster cannot be used.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from medley_operator.cli.arguments import length_of_time
from medley_operator.cli.in_cluster import list_all, run_with_client
from medley_planner.cli.arguments import BadOption
from medley_planner.exit_status import ExitStatus

if TYPE_CHECKING:
    from medley_operator.api.v1alpha1.power import PowerDomain, PowerEvent
    from medley_operator.domain.values.snapshot import Manifest
    from medley_operator.kube.client import PersonClient

FIELD_MANAGER = "medley-power-shed"
MOST_NAME = 253


def add_parsers(ways: Any) -> None:
    """Adds the three to the subparsers of `medley power`."""
    status = ways.add_parser(
        "status",
        help="show power domains: level, watts, budget",
        description="Show the PowerDomains of the kubeconfig's cluster, and the PowerEvents that are not over. Needs "
        "the right to list both.",
    )
    status.add_argument("domain", metavar="DOMAIN", nargs="?", help="name of a PowerDomain; default: all")
    status.set_defaults(power_run=_status)
    shed = ways.add_parser(
        "shed",
        help="hold a power domain to less for some time",
        description="Create a PowerEvent, so that a PowerDomain is held to a target from now, or from --start, on. "
        "Needs the rights to get PowerDomains, and to create and patch PowerEvents.",
    )
    shed.add_argument("domain", metavar="DOMAIN", help="name of the PowerDomain")
    target = shed.add_mutually_exclusive_group(required=True)
    target.add_argument("--watts", type=_watts, metavar="WATTS", help="target in watts")
    target.add_argument("--fraction", type=_fraction, metavar="FRACTION", help="target as a part of the budget, as 0.8")
    shed.add_argument(
        "--for", dest="length", type=length_of_time, required=True, metavar="DURATION", help="how long, at most 168h"
    )
    shed.add_argument("--start", type=_time, metavar="TIME", help="as 2027-01-15T16:00:00Z; default: now")
    shed.add_argument("--source", default="medley power shed", metavar="TEXT", help="who asks for it")
    shed.set_defaults(power_run=_shed)
    release = ways.add_parser(
        "release",
        help="end a power event before its time",
        description="Delete a PowerEvent, so that the domain has its own budget again. Needs the rights to get and to "
        "delete PowerEvents.",
    )
    release.add_argument("event", metavar="EVENT", help='name of the PowerEvent, as "medley power status" shows it')
    release.set_defaults(power_run=_release)


def _status(args: argparse.Namespace) -> int:
    async def action(client: PersonClient, _namespace: str) -> int:
        for line in await status_lines(client, args.domain):
            print(line)
        return ExitStatus.OK

    return run_with_client("power status", args, action)


def _shed(args: argparse.Namespace) -> int:
    async def action(client: PersonClient, _namespace: str) -> int:
        start = args.start or datetime.now(UTC)
        print(
            await shed(
                client,
                args.domain,
                watts=args.watts,
                fraction=args.fraction,
                start=start,
                end=start + args.length,
                source=args.source,
            )
        )
        return ExitStatus.OK

    return run_with_client("power shed", args, action)


def _release(args: argparse.Namespace) -> int:
    async def action(client: PersonClient, _namespace: str) -> int:
        print(await release(client, args.event))
        return ExitStatus.OK

    return run_with_client("power release", args, action)


async def status_lines(client: PersonClient, name: str | None) -> list[str]:
    """A line for each domain and each event that is not over. Raises `BadInput` and `KubeError`."""
    from medley_operator.kube.resources import POWER_DOMAINS, POWER_EVENTS

    domains: list[PowerDomain] = await _listed(client, POWER_DOMAINS, _domain)
    if name is not None:
        domains = [domain for domain in domains if domain.metadata.name == name]
        if not domains:
            raise _no_domain(name)
    events: list[PowerEvent] = await _listed(client, POWER_EVENTS, _event)
    names = {domain.metadata.name for domain in domains}
    lines = _table(
        ("DOMAIN", "MODE", "LEVEL", "REASON", "WATTS", "BUDGET", "CAPPED"), (_row(domain) for domain in domains)
    )
    lines += [line for domain in domains if (line := _refused(domain))]
    open_events = [event for event in events if event.spec.domain in names and event.status.phase != "Ended"]
    if open_events:
        rows = ((e.metadata.name, e.spec.domain, e.status.phase or "New", _target(e), e.spec.end) for e in open_events)
        lines += ["", *_table(("EVENT", "DOMAIN", "PHASE", "TARGET", "END"), rows)]
    return lines if domains else ["there are no PowerDomains"]


async def shed(
    client: PersonClient,
    name: str,
    *,
    watts: int | None,
    fraction: str | None,
    start: datetime,
    end: datetime,
    source: str,
) -> str:
    """Creates the event; returns a line for people. Raises `BadInput` and `KubeError`."""
    from medley_operator.api.v1alpha1 import API_VERSION
    from medley_operator.domain.values.snapshot import ObjectKey

    found = await client.get(ObjectKey("PowerDomain", "", name))
    if found is None:
        raise _no_domain(name)
    budget = _domain(found).spec.budget_watts
    if watts is not None and watts >= budget:
        raise BadOption(f"PowerDomain {name}", "--watts", watts, f"its budget is {budget} W; give less")
    suffix = f"-{start.strftime('%Y%m%d-%H%M%S')}"
    event = name[: MOST_NAME - len(suffix)] + suffix
    target: Manifest = {"targetFraction": fraction} if watts is None else {"targetWatts": watts}
    spec = {"domain": name, **target, "start": _written(start), "end": _written(end), "source": source}
    metadata = {"name": event}
    await client.apply(
        {"apiVersion": API_VERSION, "kind": "PowerEvent", "metadata": metadata, "spec": spec},
        field_manager=FIELD_MANAGER,
    )
    what = f"{watts} W" if watts is not None else f"{fraction} of its {budget} W"
    return f"PowerEvent {event}: domain {name} is held to {what} from {spec['start']} to {spec['end']}"


async def release(client: PersonClient, name: str) -> str:
    """Deletes the event; returns a line for people. Raises `BadInput` and `KubeError`."""
    from medley_operator.domain.values.snapshot import ObjectKey

    key = ObjectKey("PowerEvent", "", name)
    found = await client.get(key)
    if found is None:
        raise BadOption.whole(str(key), 'there is none of this name; "kubectl get pev" lists all')
    await client.delete(key, uid=found["metadata"]["uid"])
    return f"PowerEvent {name} is deleted: domain {found['spec']['domain']} has its own budget again"


def _no_domain(name: str) -> BadOption:
    return BadOption.whole(f"PowerDomain {name}", 'there is none of this name; "kubectl get pdom" lists all')


async def _listed(client: PersonClient, resource: Any, parse: Any) -> list[Any]:
    found = [parse(item) for item in await list_all(client, resource)]
    return sorted(found, key=lambda each: each.metadata.name)


def _domain(item: Manifest) -> PowerDomain:
    from medley_operator.api.v1alpha1.power import PowerDomain

    return PowerDomain.model_validate(item)


def _event(item: Manifest) -> PowerEvent:
    from medley_operator.api.v1alpha1.power import PowerEvent

    return PowerEvent.model_validate(item)


def _row(domain: PowerDomain) -> tuple[str, ...]:
    status = domain.status
    known = [status.level, status.watts, status.budget_watts]
    level, watts, budget = ("-" if value is None else str(value) for value in known)
    return (
        domain.metadata.name,
        domain.spec.mode.value,
        level,
        status.reason or "-",
        watts,
        budget,
        f"{status.capped_gpus}/{status.gpus}",
    )


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


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _watts(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1000000000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of watts above 0")
    return int(text)


def _fraction(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a part of the budget above 0 and below 1, such as 0.8")
    return f"{value:.3f}"


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time with its zone, such as 2027-01-15T16:00:00Z")
    return at
