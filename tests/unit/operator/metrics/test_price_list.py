"""A price list: what is written is read back, and what cannot be used is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from medley_operator.metrics.price_list import BadPriceList, price_list_lines, read_price_list

HEAD = "instance_type,location,purchase,usd_per_hour"
LISTED = {
    ("g6.12xlarge", "on-demand", "us-east-1"): 4.6,
    ("g6.12xlarge", "spot", ""): 1.1,
    ("p5", "on-demand", ""): 55.0,
}


def written(folder: Path, *lines: str) -> Path:
    path = folder / "prices.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    assert read_price_list(written(tmp_path, *price_list_lines(LISTED))) == LISTED


def test_columns_may_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffnote,usd_per_hour,purchase,location,instance_type", "ours, 3 ,spot,,x")
    assert read_price_list(path) == {("x", "spot", ""): 3.0}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "its columns lack instance_type"),
        (("instance_type,location,purchase", "a,,spot"), "its columns lack usd_per_hour"),
        ((HEAD, "a,,spot,1", ",,spot,1"), "line 3"),
        ((HEAD, "a,,monthly,1"), "on-demand or spot"),
        ((HEAD, "a,,spot,free"), "above 0"),
        ((HEAD, "a,,spot,-1"), "above 0"),
        ((HEAD, "a,,spot,nan"), "above 0"),
        ((HEAD, "a,,spot"), "no usd_per_hour"),
        ((HEAD, "a,,spot,1", "a,,spot,2"), "keep one"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadPriceList, match=said):
        read_price_list(written(tmp_path, *lines))


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadPriceList, match="cannot be read"):
        read_price_list(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadPriceList, match="not UTF-8"):
        read_price_list(tmp_path / "binary.csv")
