"""The templates: whose series they select, how a rename resolves, and the names against a scrape of the real engine."""

from __future__ import annotations

import os
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from medley_operator.domain.values import labels
from medley_operator.metrics import queries
from medley_operator.metrics.calibration_queries import calibration_query
from medley_operator.metrics.engine_names import EVERY_ENGINE, OWN_LABELS, VLLM
from medley_operator.metrics.observe import ServiceQuery
from tests.unit.operator.metrics.fake_prometheus import GATEWAY_METRIC, FakePrometheus

DATA = Path(os.environ.get("MEDLEY_SHARED_DATA", Path(__file__).parents[5] / "shared" / "data"))
SCRAPE = DATA / "vllm_0.32_metrics.txt"
ALL = {
    "load": queries.load_query(VLLM, window_seconds=300),
    "prompt": queries.size_query(VLLM.prompt, window_seconds=300),
    "generation": queries.size_query(VLLM.generation, window_seconds=300),
    "engine": queries.engine_query(VLLM, window_seconds=300),
    "absence": queries.absence_query(VLLM),
}

HISTOGRAMS = ("prompt", "generation", "inter_token_seconds", "prefill_seconds", "ttft_seconds", "tpot_seconds")


@pytest.mark.parametrize("name", ALL)
def test_every_selector_asks_for_our_pod_labels(name: str) -> None:
    selectors = re.findall(r"(?:vllm:\w+|\bup)(\{[^}]*\})?", ALL[name])
    assert selectors
    assert set(selectors) == {'{namespace!="",medley_dev_service!="",pod!=""}'}


@pytest.mark.parametrize(
    "query",
    [
        queries.load_query(VLLM, window_seconds=300, matchers='cluster="eu"'),
        queries.rate_query(VLLM, window_seconds=300, matchers='cluster="eu"'),
        queries.size_query(VLLM.prompt, window_seconds=300, matchers='cluster="eu"'),
        queries.engine_query(VLLM, window_seconds=300, matchers='cluster="eu"'),
        queries.absence_query(VLLM, matchers='cluster="eu"'),
        queries.gateway_query("gateway_total", window_seconds=300, matchers='cluster="eu"'),
        calibration_query(VLLM, window_seconds=60, matchers='cluster="eu"'),
    ],
)
def test_fixed_matchers_are_part_of_every_selector(query: str) -> None:
    """One store for many clusters holds services of equal names of each of them."""
    selectors = re.findall(r"(?:vllm:\w+|\bup|gateway_total)(\{[^}]*\})?", query)
    assert selectors
    assert all(each.endswith(',cluster="eu"}') for each in selectors)


def test_label_names_are_those_of_our_pods() -> None:
    assert re.sub(r"[^a-zA-Z0-9_]", "_", labels.SERVICE) == queries.SERVICE
    assert re.sub(r"[^a-zA-Z0-9_]", "_", labels.VARIANT) in queries.REPLICA_SET


def test_a_rename_is_one_more_candidate() -> None:
    renamed = replace(VLLM, running=("vllm:requests_running", *VLLM.running))
    query = queries.load_query(renamed, window_seconds=60)
    assert (
        f"delta(vllm:requests_running{queries.selector()}[60s]) or on (namespace, pod) "
        f"delta(vllm:num_requests_running{queries.selector()}[60s])"
    ) in query


@pytest.mark.parametrize(("window", "step"), [(10, 1), (60, 1), (300, 5), (1800, 30), (86400, 30)])
def test_coverage_step(window: int, step: int) -> None:
    assert queries.coverage_step_seconds(window) == step


def test_label_values_in_messages_are_escaped() -> None:
    text = queries.series_text("m", namespace='a"b', service="c\\d\n")
    assert text == 'm{namespace="a\\"b",medley_dev_service="c\\\\d\\n"}'


@pytest.mark.skipif(not SCRAPE.exists(), reason=f"no scrape of the real engine at {SCRAPE} (MEDLEY_SHARED_DATA)")
def test_the_newest_name_of_each_role_is_what_vllm_exports() -> None:
    exported = set(re.findall(r"^(vllm:\w+)\{", SCRAPE.read_text(), flags=re.MULTILINE))
    for role in fields(VLLM):
        name = getattr(VLLM, role.name)[0]
        wanted = {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if role.name in HISTOGRAMS else {name}
        assert wanted <= exported


HOSTILE = ('a"} or vector(1) #', ".*", "a|b", "a\\", "a\n", "${namespace}", "$1")


async def test_no_text_of_a_tenant_gets_into_a_query() -> None:
    """Neither names nor the model become a part of PromQL or of its regular expressions: only the window does."""
    plain, hostile = FakePrometheus(), FakePrometheus()
    await plain.reader(gateway_metric=GATEWAY_METRIC).observe([ServiceQuery("demo", "llama", 300, served_model="m")])
    asked = [ServiceQuery(text, text, 300, served_model=text) for text in HOSTILE]
    await hostile.reader(gateway_metric=GATEWAY_METRIC).observe(asked)
    assert {form["query"] for _, form in hostile.asked} == {form["query"] for _, form in plain.asked} | {
        queries.absence_query(EVERY_ENGINE)
    }


def test_names_are_quoted_in_messages() -> None:
    text = queries.series_text("m", namespace='a"} or vector(1) #', service="b\\\n")
    assert text == 'm{namespace="a\\"} or vector(1) #",medley_dev_service="b\\\\\\n"}'


@pytest.mark.skipif(not SCRAPE.exists(), reason=f"no scrape of the real engine at {SCRAPE} (MEDLEY_SHARED_DATA)")
def test_a_figure_is_split_by_no_label_that_is_not_known() -> None:
    """Any other label would be taken for one of who scraped it, and of several series only the largest would count."""
    names = {name for role in fields(VLLM) if role.name != "cache_config" for name in getattr(VLLM, role.name)}
    found = set()
    for name, inside in re.findall(r"^(vllm:\w+)\{([^}]*)\}", SCRAPE.read_text(), flags=re.MULTILINE):
        if re.sub(r"_(bucket|sum|count)$", "", name) in names or name in names:
            found |= set(re.findall(r'(\w+)="', inside))
    assert found == {*OWN_LABELS, queries.MODEL, queries.EDGE}
