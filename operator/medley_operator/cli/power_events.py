"""`medley power shed|release`: events that hold a power domain of a cluster to less for some time.

Reads and writes with the user's own rights. Exit status: 0 done, 2 bad input, or the cluster cannot be used.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from medley_operator.cli.arguments import length_of_time
from medley_operator.cli.in_cluster import parsed, run_with_client
from medley_operator.cli.power_status import no_domain
from medley_planner.cli.arguments import BadOption
from medley_planner.exit_status import ExitStatus

if TYPE_CHECKING:
    from medley_operator.domain.values.snapshot import Manifest
    from medley_operator.kube.client import PersonClient

FIELD_MANAGER = "medley-power-shed"
MOST_NAME = 253


def add_parsers(ways: Any) -> None:
    """Adds both to the subparsers of `medley power`."""
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

    return run_with_client("power shed", action)


def _release(args: argparse.Namespace) -> int:
    async def action(client: PersonClient, _namespace: str) -> int:
        print(await release(client, args.event))
        return ExitStatus.OK

    return run_with_client("power release", action)


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
    from medley_operator.api.v1alpha1.power import PowerDomain
    from medley_operator.domain.values.snapshot import ObjectKey

    found = await client.get(ObjectKey("PowerDomain", "", name))
    if found is None:
        raise no_domain(name)
    budget = parsed(PowerDomain, found).spec.budget_watts
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
