"""What is kept of calibrations is read back, an entry that cannot be read loses no other, and writes are few."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from medley_operator.domain.speed.calibration import KnownEngine, KnownEngines, told_speeds
from medley_operator.domain.speed.calibration_record import MAX_BYTES, config_map, read_config_map, worth_writing
from medley_planner.capacity import Speed
from medley_planner.capacity.calibrate import Calibration, CalibrationState
from medley_planner.capacity.speed import PARTS
from medley_planner.model import Provenance
from tests.unit.operator.domain.speed.test_calibration import RUN, taught


def test_what_is_kept_is_read_back() -> None:
    engines = taught(40)
    manifest = json.loads(json.dumps(config_map(engines, namespace="medley")))
    read = read_config_map(manifest)
    assert read.problems == ()
    assert read.engines.keys() == engines.keys()
    told = told_speeds(read.engines)[RUN.key]
    assert told.factors.fixed == pytest.approx(told_speeds(engines)[RUN.key].factors.fixed, rel=1e-5)
    assert told.provenance is Provenance.CALIBRATED
    assert told_speeds(taught(1, start=read.engines, noise=0.0)) == {RUN.key: told}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"x"', "{}", '{"engine": {}}', '{"engine": 3}', "[" * 100_000, "NaN"],
)
def test_an_entry_that_cannot_be_read_loses_no_other(text: str) -> None:
    manifest = config_map(taught(3), namespace="medley")
    manifest["data"]["broken"] = text
    read = read_config_map(manifest)
    assert len(read.engines) == 1
    assert len(read.problems) == 1
    assert "data.broken" in read.problems[0]


def test_an_entry_of_the_first_version_is_read_as_of_the_default_cache() -> None:
    manifest = config_map(taught(3), namespace="medley")
    ((name, text),) = manifest["data"].items()
    entry = json.loads(text)
    assert entry.pop("version") == 3
    facts = entry["engine"]
    entry["engine"] = {name: facts[name] for name in ("model", "gpu", "precision", "engine_version")}
    entry["engine"]["tensor_parallel"] = int(facts["tensor_parallel"])
    manifest["data"] = {"old-name": json.dumps(entry)}
    read = read_config_map(manifest)
    assert read.problems == ()
    everybody = replace(RUN.key, namespace="")
    assert read.engines[everybody].calibration.windows == 3
    renamed = config_map({RUN.key: read.engines[everybody]}, namespace="medley")
    assert renamed["data"].keys() == {name}


def test_an_entry_keeps_its_namespace_and_its_arguments() -> None:
    key = replace(RUN.key, arguments="1a2b3c4d")
    manifest = config_map({key: taught(3)[RUN.key]}, namespace="medley")
    assert set(read_config_map(manifest).engines) == {key}
    ((name, text),) = manifest["data"].items()
    manifest["data"][name] = json.dumps({**json.loads(text), "namespace": 7})
    assert len(read_config_map(manifest).problems) == 1


@pytest.mark.parametrize(("field", "value"), [("version", 4), ("version", "3"), ("engine", {"role": "decode"})])
def test_an_entry_of_a_later_version_is_refused(field: str, value: object) -> None:
    manifest = config_map(taught(3), namespace="medley")
    ((name, text),) = manifest["data"].items()
    entry = json.loads(text)
    entry[field] = entry[field] | value if isinstance(value, dict) else value
    manifest["data"][name] = json.dumps(entry)
    read = read_config_map(manifest)
    assert (read.engines, len(read.problems)) == ({}, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kvTokens", -1),
        ("kvTokens", "many"),
        ("told", {"fixed": 1}),
        ("told", 3),
        ("estimateSeconds", "soon"),
        ("kvTokens", 10**400),
        ("estimateSeconds", float("inf")),
        ("estimateSeconds", True),
        ("told", dict.fromkeys(PARTS, 1e300)),
        ("told", dict.fromkeys(PARTS, -1.0)),
        ("told", dict.fromkeys(PARTS, 10**400)),
        ("calibration", None),
        ("calibration", []),
        pytest.param("calibration", "x" * 1_000_000, id="a megabyte"),
        ("told", dict.fromkeys(PARTS, 0.0)),
        ("told", dict.fromkeys(PARTS, 1e9)),
        ("calibration", 3),
        ("calibration", {"version": 1, "factors": dict.fromkeys(PARTS, 10**400)}),
    ],
)
def test_an_entry_with_a_bad_field_is_refused(field: str, value: object) -> None:
    manifest = config_map(taught(3), namespace="medley")
    ((name, text),) = manifest["data"].items()
    manifest["data"][name] = json.dumps(json.loads(text) | {field: value})
    read = read_config_map(manifest)
    assert (read.engines, len(read.problems)) == ({}, 1)


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("engine", "tensor_parallel", float("inf")),
        ("engine", "tensor_parallel", 0),
        ("engine", "tensor_parallel", True),
        ("engine", "model", None),
        ("engine", "precision", "FP7"),
        ("engine", "kv_format", "FP3"),
        ("engine", "gpu", "nonesuch"),
        ("engine", "tensor_parallel", "0"),
        ("engine", "tensor_parallel", "1" * 400),
        ("calibration", "version", 2),
        ("calibration", "windows", 10**400),
        ("calibration", "error", float("nan")),
        pytest.param("calibration", "standing", "y" * 1_000_000, id="a megabyte"),
        ("calibration", "heaviest", "x"),
        ("calibration", "factors", {"fixed": 1}),
        ("calibration", "covariance", [[10**400] * 4] * 4),
        ("calibration", "covariance", [[1e300] * 4] * 4),
        ("calibration", "told", [[1], [1, 2]]),
    ],
)
def test_a_bad_figure_is_refused_in_a_short_sentence(part: str, field: str, value: object) -> None:
    manifest = config_map(taught(3), namespace="medley")
    ((name, text),) = manifest["data"].items()
    entry = json.loads(text)
    entry[part][field] = value
    manifest["data"][name] = json.dumps(entry)
    read = read_config_map(manifest)
    assert (read.engines, len(read.problems)) == ({}, 1)
    assert name in read.problems[0]
    assert len(read.problems[0]) < 500


@pytest.mark.parametrize("data", [3, ["x"], "x" * 1_000_000], ids=["number", "list", "a megabyte"])
def test_data_that_is_no_mapping_is_a_problem(data: object) -> None:
    read = read_config_map({"data": data})
    assert read.engines == {}
    assert "data: " in read.problems[0]
    assert len(read.problems[0]) < 200


def test_an_empty_config_map_knows_nothing() -> None:
    assert read_config_map({"metadata": {}}).engines == {}


def test_a_config_map_stays_within_what_an_object_may_have() -> None:
    many = {
        replace(RUN.key, layout=replace(RUN.key.layout, engine_version=f"0.{n}")): KnownEngine() for n in range(3000)
    }
    most = KnownEngine(calibration=Calibration(windows=9))
    data = config_map(many | {RUN.key: most}, namespace="medley")["data"]
    assert sum(len(name) + len(text) for name, text in data.items()) <= MAX_BYTES
    assert any(json.loads(text)["calibration"]["windows"] == 9 for text in data.values())


def test_a_write_is_worth_what_a_restart_would_lose() -> None:
    known = taught(20)
    (key, engine) = next(iter(known.items()))

    def after(windows: int) -> KnownEngines:
        return {key: replace(engine, calibration=replace(engine.calibration, windows=windows))}

    assert [worth_writing(after(windows), known) for windows in (20, 39, 40)] == [False, False, True]
    assert worth_writing({}, known)
    assert worth_writing({key: replace(engine, told=Speed())}, known)
    assert worth_writing(known, {})
    lost = replace(engine.calibration, standing=CalibrationState.UNSETTLED)
    assert worth_writing({key: replace(engine, calibration=lost)}, known)
