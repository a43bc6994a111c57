"""The cap on the planning process, from a container's limit of either version of cgroups."""

from __future__ import annotations

from pathlib import Path

import pytest

from medley_operator.fleet.memory import MIB, UNLIMITED_BYTES, container_limit_bytes, worker_memory_bytes


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def limit(folder: Path, own: str = "") -> int | None:
    write(folder / "own", own)
    return container_limit_bytes(cgroups=folder / "cgroup", own=folder / "own")


def test_the_solver_meets_its_cap_below_the_limit_of_the_chart() -> None:
    cap = worker_memory_bytes(0, 1536 * MIB)
    assert cap == 1024 * MIB


@pytest.mark.parametrize(("mib", "cap"), [(600, 300), (1024, 512), (2048, 1536), (16384, 15872)])
def test_the_cap_leaves_room_for_the_operator(mib: int, cap: int) -> None:
    assert worker_memory_bytes(0, mib * MIB) == cap * MIB


def test_a_setting_wins_and_without_a_limit_there_is_a_default() -> None:
    assert worker_memory_bytes(700, 1536 * MIB) == 700 * MIB
    assert worker_memory_bytes(0, None) == UNLIMITED_BYTES


def test_version_2_in_a_container(tmp_path: Path) -> None:
    write(tmp_path / "cgroup/memory.max", "1610612736\n")
    assert limit(tmp_path, "0::/\n") == 1536 * MIB


def test_version_2_without_a_limit(tmp_path: Path) -> None:
    write(tmp_path / "cgroup/memory.max", "max\n")
    assert limit(tmp_path, "0::/\n") is None


def test_version_1_in_a_container(tmp_path: Path) -> None:
    write(tmp_path / "cgroup/memory/memory.limit_in_bytes", "1610612736\n")
    assert limit(tmp_path, "4:memory:/kubepods/pod1/c1\n0::/\n") == 1536 * MIB


def test_version_1_without_a_limit(tmp_path: Path) -> None:
    write(tmp_path / "cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert limit(tmp_path, "4:memory:/\n") is None


def test_the_lowest_limit_above_the_process_binds_it(tmp_path: Path) -> None:
    write(tmp_path / "cgroup/pod1/memory.max", "1048576000\n")
    write(tmp_path / "cgroup/pod1/c1/memory.max", "max\n")
    assert limit(tmp_path, "0::/pod1/c1\n") == 1000 * MIB
    write(tmp_path / "cgroup/memory/pod1/memory.limit_in_bytes", "524288000\n")
    assert limit(tmp_path, "3:cpu:/x\n4:memory:/pod1/c1\n0::/pod1/c1\n") == 500 * MIB


def test_where_nothing_can_be_read_there_is_no_limit(tmp_path: Path) -> None:
    assert container_limit_bytes(cgroups=tmp_path / "none", own=tmp_path / "none") is None
