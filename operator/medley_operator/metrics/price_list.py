"""A price list: a file with US dollars per node and hour by instance type, for clusters whose prices nobody measures.

`medley prices import` writes it, and a person may: CSV with the columns of `COLUMNS`, one row for each instance type,
place and kind of purchase. It is read by commands, and by the operator as the last source of prices.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from medley_planner.bad_input import BadInput

COLUMNS = ("instance_type", "location", "purchase", "usd_per_hour")
"""The value of node.kubernetes.io/instance-type; a zone or region, empty for any; on-demand or spot; of the whole
node."""
PURCHASES = ("on-demand", "spot")
MOST_BYTES = 16_000_000

Listed = Mapping[tuple[str, str, str], float]
"""US dollars per node and hour by (instance type, kind of purchase, zone or region; "" for any)."""


class BadPriceList(BadInput):
    """A price list, or a catalogue to make one from, that cannot be used; `field` is the line."""


def read_price_list(path: Path) -> Listed:
    """Raises `BadPriceList`."""
    found: dict[tuple[str, str, str], float] = {}
    for line, row in csv_rows(path, COLUMNS):
        instance, place, purchase, text = (row[column].strip() for column in COLUMNS)
        if not instance:
            raise BadPriceList(str(path), f"line {line}", instance, "give an instance type")
        if purchase not in PURCHASES:
            raise BadPriceList(str(path), f"line {line}", purchase, f"give {' or '.join(PURCHASES)} as purchase")
        price = positive(text)
        if price is None:
            raise BadPriceList(str(path), f"line {line}", text, "give US dollars per hour above 0, such as 3.22")
        key = (instance, purchase, place)
        if key in found:
            raise BadPriceList(str(path), f"line {line}", ", ".join(key), "a line before it says the same; keep one")
        found[key] = price
    return found


def price_list_lines(listed: Listed) -> Iterator[str]:
    """The lines of a file that `read_price_list` reads back, in order of their names."""
    yield ",".join(COLUMNS)
    for (instance, purchase, place), price in sorted(listed.items()):
        yield f"{instance},{place},{purchase},{price:g}"


def csv_rows(path: Path, needed: Iterable[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Rows with the numbers of their lines; each has the needed columns. Raises `BadPriceList`."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise BadPriceList.whole(str(path), f"is larger than {MOST_BYTES // 1_000_000} MB; leave out other places")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadPriceList.whole(str(path), f"cannot be read ({error.strerror}); give a CSV file") from None
    except UnicodeDecodeError:
        raise BadPriceList.whole(str(path), "is not UTF-8 text; give a CSV file") from None
    reader = csv.DictReader(text.splitlines())
    missing = [column for column in needed if column not in (reader.fieldnames or ())]
    if missing:
        raise BadPriceList(str(path), "line 1", ",".join(reader.fieldnames or ()), f"its columns lack {missing[0]}")
    try:
        for row in reader:
            short = [column for column in needed if row[column] is None]
            if short:
                raise BadPriceList(str(path), f"line {reader.line_num}", None, f"it has no {short[0]}; fill the line")
            yield reader.line_num, row
    except csv.Error as error:
        raise BadPriceList(str(path), f"line {reader.line_num}", None, f"it is not CSV ({error})") from None


def positive(text: str) -> float | None:
    """The number; None where it is none above 0."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 < value < 1e7 else None
