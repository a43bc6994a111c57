"""`medley prices import`: a price list from a catalogue as gpuhunt 0.1.34 writes it (`gpuhunt._internal.storage.dump`):
its columns and their order, lines that end with a carriage return, JSON with commas in quotes."""

from __future__ import annotations

from pathlib import Path

import pytest

from medley_operator.cli.main import main
from medley_operator.metrics.price_list import read_price_list
from medley_planner.exit_status import ExitStatus

CATALOGUE = """\
instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,gpu_vendor,flags,cpu_arch,provider_data
g6.12xlarge,us-east-1,4.6016,48,192.0,4,L4,24.0,False,,nvidia,,x86,{}
g6.12xlarge,us-east-1,4.7,48,192.0,4,L4,24.0,False,,nvidia,,x86,{}
g6.12xlarge,us-east-1,2.1,48,192.0,4,L4,24.0,True,,nvidia,,x86,"{""zones"": [""a"", ""b,c""]}"
g6.12xlarge,eu-west-1,5.1,48,192.0,4,L4,24.0,False,,nvidia,,x86,{}
n1-standard-8,us-east-1,1.2,8,30.0,1,T4,16.0,False,,nvidia,,x86,{}
n1-standard-8,us-east-1,2.4,8,30.0,2,T4,16.0,False,,nvidia,,x86,{}
m7i.large,us-east-1,0.1,2,8.0,0,,,False,,,,x86,{}
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "aws.csv"
    path.write_text(CATALOGUE, newline="\r\n")
    return path


def test_the_list_has_the_cheapest_of_each_offer(
    catalogue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prices", "import", str(catalogue), "--location", "us-east-1"]) == ExitStatus.NOT_ALL
    printed = capsys.readouterr()
    assert "left out: n1-standard-8" in printed.err
    (tmp_path / "prices.csv").write_text(printed.out)
    assert read_price_list(tmp_path / "prices.csv") == {
        ("g6.12xlarge", "on-demand", "us-east-1"): 4.6016,
        ("g6.12xlarge", "spot", "us-east-1"): 2.1,
    }


def test_all_places_without_the_option(catalogue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["prices", "import", str(catalogue)])
    assert "g6.12xlarge,eu-west-1,on-demand,5.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        (("4.6016", "free"), (), "line 2 is"),
        (("", ""), ("--location", "moon"), "--location is"),
        (("gpu_count", "gpus"), (), "lack gpu_count"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    catalogue: Path, change: tuple[str, str], words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue.write_text(CATALOGUE.replace(*change))
    assert main(["prices", "import", str(catalogue), *words]) == ExitStatus.BAD_INPUT
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert not printed.out
