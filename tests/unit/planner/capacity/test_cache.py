"""Tables on disk: whole or absent, whatever stands in the directory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from medley_planner.capacity import GridRatios, cache
from medley_planner.capacity.cache import SUFFIX, TableCache
from medley_planner.capacity.table_key import FORMAT
from tests.unit.planner.capacity.tables import key


def made(rate: float = 3.0) -> GridRatios:
    return GridRatios(key(), (rate,) * 60, (4.0,) * 60)


def file_in(directory: Path) -> Path:
    (path,) = directory.glob(f"*{SUFFIX}")
    return path


def test_what_was_put_is_got(tmp_path: Path) -> None:
    cache = TableCache(tmp_path / "not" / "there" / "yet")
    assert cache.get(key()) is None
    cache.put(made())
    found = cache.get(key())
    assert found is not None
    assert (found.key, found.simulated_rps, found.closed_form_rps) == (key(), (3.0,) * 60, (4.0,) * 60)
    assert cache.get(key("L40S")) is None
    assert [path.name for path in cache.directory.iterdir()] == [f"{key().digest()}{SUFFIX}"], "nothing half written"


def _with(**changes: object) -> str:
    document = {"format": FORMAT, "digest": key().digest(), "simulated_rps": [3.0] * 60, "closed_form_rps": [4.0] * 60}
    return json.dumps({**document, **changes})


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    """Else what the next test refuses would be refused for another reason."""
    cache = TableCache(tmp_path)
    cache.put(made(9.0))
    file_in(tmp_path).write_text(_with())
    assert cache.get(key()) is not None


@pytest.mark.parametrize(
    "content",
    [
        "", "{", "[]", "null", "7", "\x00\xff", "[" * 100_000,
        _with(digest="another"),
        _with(format=FORMAT - 1),
        _with(format=None),
        _with(simulated_rps=[3.0] * 59),
        _with(simulated_rps=[3.0] * 59 + [None]),
        _with(simulated_rps=[3.0] * 59 + [-1.0]),
        _with(simulated_rps=[3.0] * 59 + [float("nan")]),
        _with(simulated_rps=[3.0] * 59 + [True]),
        _with(simulated_rps=[3.0] * 59 + [10**400]),
        _with(simulated_rps=[3.0] * 59 + [1e300]),
        _with(closed_form_rps=[3.0] * 59 + [5e-324]),
        _with(closed_form_rps=[3.0] * 59 + [1e12]),
        _with(closed_form_rps={"a": 1}),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_file_counts_as_absent_and_is_replaced(tmp_path: Path, content: str) -> None:
    cache = TableCache(tmp_path)
    cache.put(made(9.0))
    file_in(tmp_path).write_text(content, encoding="latin-1")
    assert cache.get(key()) is None
    cache.put(made())
    found = cache.get(key())
    assert found is not None
    assert found.simulated_rps == (3.0,) * 60


def test_a_directory_in_the_place_of_a_file_or_of_none(tmp_path: Path) -> None:
    cache = TableCache(tmp_path)
    (tmp_path / f"{key().digest()}{SUFFIX}").mkdir()
    assert cache.get(key()) is None
    with pytest.raises(IsADirectoryError):
        cache.put(made())
    assert len(list(tmp_path.iterdir())) == 1, "the half-written file is gone"
    plain = tmp_path / "plain"
    plain.write_text("")
    assert TableCache(plain).get(key()) is None
    with pytest.raises(FileExistsError):
        TableCache(plain).put(made())


def test_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_FILES", 2)
    tables = TableCache(tmp_path)
    names = ["H100", "L40S", "A100-80"]
    for age, name in enumerate(names):
        tables.put(GridRatios(key(name), (1.0,) * 60, (1.0,) * 60))
        path = tmp_path / f"{key(name).digest()}{SUFFIX}"
        if path.exists():
            os.utime(path, (1000.0 + age, 1000.0 + age))
    assert [name for name in names if tables.get(key(name)) is not None] == ["L40S", "A100-80"]
