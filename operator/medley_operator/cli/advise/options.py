"""Options that the commands share which look at a cluster that Medley need not run in.

Apart: `advise`, `doctor` and `pools` take the same ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from medley_planner.cli.arguments import BadOption

if TYPE_CHECKING:
    from medley_operator.metrics.price_list import Listed


def add_prometheus_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prometheus", metavar="URL", help="default: the cluster's own, through the API server")


def add_price_option(parser: argparse.ArgumentParser, more: str = "") -> None:
    parser.add_argument(
        "--price",
        metavar="TYPE=USD",
        action="append",
        default=[],
        help=f"US dollars per GPU and hour of a GPU type or found pool{more}",
    )
    parser.add_argument(
        "--price-list", metavar="FILE.csv", type=Path, help="prices of instance types that nothing else says"
    )


def price_list_given(path: Path | None) -> Listed:
    """Empty without a file. Raises `BadPriceList`."""
    from medley_operator.metrics.price_list import read_price_list

    return {} if path is None else read_price_list(path)


def prices_given(texts: Iterable[str]) -> dict[str, float]:
    """US dollars by name in small letters. Raises `BadOption`."""
    prices: dict[str, float] = {}
    for text in texts:
        name, _, amount = text.partition("=")
        try:
            price = float(amount)
        except ValueError:
            price = 0.0
        if not name or not 0 < price < 1e7:
            raise BadOption("", "--price", text, "give TYPE=USD, US dollars per GPU and hour above 0, as L4=0.80")
        prices[name.casefold()] = price
    return prices
