"""`medley prices import`: a price list from a catalogue of cloud offers that gpuhunt has made.

Reads that file and writes the list to standard output; gpuhunt itself is not needed. Exit status: 0, 2 the file cannot
be used, 3 instance types are left out (named on standard error).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medley_planner.bad_input import BadInput
from medley_planner.exit_status import ExitStatus, report_error

if TYPE_CHECKING:
    from medley_operator.metrics.price_list import Listed

_COLUMNS = ("instance_name", "location", "price", "gpu_count", "gpu_name", "spot")
"""Those of gpuhunt's catalogues that are read (its CATALOG_V2_FIELDS); a price is that of the whole instance."""


def add_parser(subparsers: Any) -> None:
    """Adds the `prices` command to an argparse subparsers object; the parsed arguments carry `run`."""
    parser = subparsers.add_parser("prices", help="make a price list of cloud offers")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    importing = commands.add_parser(
        "import",
        help="make a price list from a catalogue of gpuhunt",
        description="Print a price list (docs/prices.md) from the CSV catalogue of one provider that gpuhunt has made. "
        "Instances without GPUs are passed over. Exit status: 0, 2 the file cannot be used, 3 something was left out.",
    )
    importing.add_argument("file", metavar="FILE.csv", type=Path, help="catalogue, such as aws.csv")
    importing.add_argument(
        "--location",
        metavar="NAME",
        action="append",
        default=[],
        help="only offers of this region or zone; default: all. May be given several times",
    )
    importing.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Runs the command and returns its exit status."""
    from medley_operator.metrics.price_list import price_list_lines

    try:
        listed, left_out = offers_of(args.file, args.location)
    except BadInput as error:
        return report_error("prices import", error)
    for line in price_list_lines(listed):
        print(line)
    for each in left_out:
        print(f"left out: {each}", file=sys.stderr)
    return ExitStatus.NOT_ALL if left_out else ExitStatus.OK


def offers_of(file: Path, locations: Iterable[str]) -> tuple[Listed, Sequence[str]]:
    """The prices of instances with GPUs, and in words what is left out. Raises `BadPriceList`.

    Of equal offers the cheapest counts. An instance type to which several kinds or numbers of GPUs can be attached has
    no price of its own.
    """
    from medley_operator.metrics.price_list import BadPriceList, csv_rows, positive

    wanted = frozenset(locations)
    found: dict[tuple[str, str, str], float] = {}
    gpus: dict[str, set[tuple[str, str]]] = {}
    seen: set[str] = set()
    for line, row in csv_rows(file, _COLUMNS):
        name, place, count = row["instance_name"], row["location"], row["gpu_count"]
        if count in ("", "0"):
            continue
        seen.add(place)
        if wanted and place not in wanted:
            continue
        price = positive(row["price"])
        if price is None:
            raise BadPriceList(str(file), f"line {line}", row["price"], "it is not a price in US dollars per hour")
        gpus.setdefault(name, set()).add((row["gpu_name"], count))
        key = (name, "spot" if row["spot"].casefold() == "true" else "on-demand", place)
        found[key] = min(price, found.get(key, price))
    unknown = sorted(wanted - seen)
    if unknown:
        raise BadPriceList(str(file), "--location", unknown[0], "no offer with GPUs is there; leave it out to see all")
    several = sorted(name for name, kinds in gpus.items() if len(kinds) > 1)
    kept = {key: price for key, price in found.items() if key[0] not in several}
    return kept, [f"{name}: several GPUs can be attached to it, so it has no one price" for name in several]
