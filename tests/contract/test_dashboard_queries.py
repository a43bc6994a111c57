"""Queries of dashboards that only trouble, a forecast, a power domain or GPUs fill, in the real PromQL engine on given
series. What the end-to-end run fills is asked there (e2e/scenarios/test_follow_traffic.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.dashboard import filled_in
from medley_operator.dashboards import BOARDS
from medley_operator.dashboards.panels import Board, Panel, Proof
from tests.contract.promtool import RULE_FILES, check

pytestmark = pytest.mark.contract

AT = 'namespace="a",service="s"'
SERIES = {
    f'medley_service_problem{{{AT},condition="CapacityAvailable",reason="StockOut"}}': "1x20",
    f'medley_service_problem{{{AT},condition="PlanReady",reason="Partial"}}': "1x20",
    'medley_pool_problem{pool="p",condition="PriceKnown",reason="PriceStale"}': "1x20",
    'medley_pool_idle_cost_per_hour_dollars{pool="p"}': "3x20",
    f"medley_service_request_rate{{{AT}}}": "12x20",
    f"medley_service_forecast_margin_ratio{{{AT}}}": "0.2x20",
    f"medley_service_errors_total{{{AT}}}": "0+1x20",
    'medley_service_errors_total{namespace="a",service="t"}': "5x20",
    'medley_calibration_factor{namespace="a",model="m",gpu="L4",part="kv",arguments=""}': "1.2x20",
    'medley_calibration_factor{namespace="a",model="m",gpu="L4",part="kv",arguments="x"}': "1.3x20",
    'medley_withheld_writes_total{kind="Deployment"}': "0+6x20",
    # Two engines of a service: 600 tokens per second in all.
    'vllm:prompt_tokens_total{namespace="a",medley_dev_service="s",pod="1"}': "0+15000x20",
    'vllm:generation_tokens_total{namespace="a",medley_dev_service="s",pod="1"}': "0+3000x20",
    'vllm:prompt_tokens_total{namespace="a",medley_dev_service="s",pod="2"}': "0+15000x20",
    'vllm:generation_tokens_total{namespace="a",medley_dev_service="s",pod="2"}': "0+3000x20",
    'medley_agent_gpu_usage_watts{node="n",gpu="0"}': "300x20",
    'medley_agent_gpu_usage_watts{node="m",gpu="1"}': "420x20",
    'medley_agent_gpu_enforced_watts{node="n",gpu="0"}': "500x20",
    'medley_agent_gpu_enforced_watts{node="n",gpu="2"}': "550x20",
    'medley_agent_gpu_power_brake{node="n",gpu="0"}': "1x20",
    'medley_agent_lease_seconds{node="n"}': "-3x20",
    'medley_agent_lease_seconds{node="m"}': "20x20",
    # Both replicas of the controller, the one that follows with what it showed when it led.
    'medley_power_level{domain="row",instance="i"}': "2x20",
    'medley_power_level{domain="rack",instance="i"}': "0x20",
    'medley_power_watts{domain="row",instance="i"}': "9000x20",
    'medley_power_watts{domain="rack",instance="i"}': "4000x20",
    'medley_power_budget_watts{domain="row",instance="i"}': "10000x20",
    'medley_power_budget_watts{domain="rack",instance="i"}': "5000x20",
    'medley_power_headroom_watts{domain="row",instance="i"}': "1000x20",
    'medley_power_headroom_watts{domain="rack",instance="i"}': "1000x20",
    'medley_power_brake{domain="row",instance="i"}': "1x20",
    'medley_power_brake{domain="rack",instance="i"}': "0x20",
    'medley_power_blind{domain="row",instance="i"}': "0x20",
    'medley_power_blind{domain="rack",instance="i"}': "1x20",
    'medley_power_refused{domain="row",instance="i"}': "0x20",
    'medley_power_refused{domain="rack",instance="i"}': "0x20",
    'medley_power_meter_age_seconds{domain="row",instance="i"}': "2x20",
    'medley_power_node_gpus_capped{node="n",instance="i"}': "8x20",
    'medley_power_node_gpus_capped{node="m",instance="i"}': "4x20",
    'medley_power_node_lease_age_seconds{node="n",instance="i"}': "4x20",
    'medley_power_node_caps_behind{node="n",instance="i"}': "1x20",
    'medley_power_writes_total{kind="NodePowerCap",verb="apply",instance="i"}': "0+6x20",
    'medley_power_errors_total{component="meter",instance="i"}': "0+3x20",
    'medley_power_errors_total{component="hook",instance="i"}': "0x20",
    'medley_power_leader{instance="i"}': "1x20",
    'medley_power_leader{instance="j"}': "0x20",
}
"""Values by the minute."""
ROW, RACK = '{domain="row"}', '{domain="rack"}'
N, M = '{node="n"}', '{node="m"}'
NOTHING = "{}"
EXPECTED: dict[tuple[str, str], list[dict[str, float]]] = {
    ("fleet", "Stock-outs"): [{NOTHING: 1}],
    ("fleet", "GPU power"): [{NOTHING: 720}],
    ("fleet", "Cost of unused parts of nodes"): [{'{pool="p"}': 3}],
    ("fleet", "Problems of services"): [
        {
            f'{{{AT},condition="CapacityAvailable",reason="StockOut"}}': 1,
            f'{{{AT},condition="PlanReady",reason="Partial"}}': 1,
        }
    ],
    ("fleet", "Problems of pools"): [{'{pool="p",condition="PriceKnown",reason="PriceStale"}': 1}],
    ("service", "Request rate"): [{f"{{{AT}}}": 10}],
    ("service", "Problems"): [
        {
            '{condition="CapacityAvailable",reason="StockOut"}': 1,
            '{condition="PlanReady",reason="Partial"}': 1,
        }
    ],
    ("operator", "Services that Medley fails on"): [{NOTHING: 1}],
    ("operator", "Calibration: learned step time by its estimate"): [
        {'{namespace="a",model="m",gpu="L4",part="kv"}': 1.3}
    ],
    ("operator", "Writes that the mode kept back"): [{'{kind="Deployment"}': 0.1}],
    ("power", "Highest level"): [{NOTHING: 2}],
    ("power", "Least headroom"): [{NOTHING: 0.1}],
    ("power", "Domains braking"): [{NOTHING: 1}],
    ("power", "Domains without a meter"): [{NOTHING: 1}],
    ("power", "Domains refused"): [{NOTHING: 0}],
    ("power", "GPUs capped"): [{NOTHING: 12}],
    ("power", "Watts and budget"): [{ROW: 9000, RACK: 4000}, {ROW: 10000, RACK: 5000}],
    ("power", "Headroom"): [{ROW: 1000, RACK: 1000}],
    ("power", "Level"): [{ROW: 2, RACK: 0}],
    ("power", "Software brake"): [{ROW: 1, RACK: 0}],
    ("power", "Age of the meter's reading"): [{ROW: 2}],
    ("power", "Meter not readable"): [{ROW: 0, RACK: 1}],
    ("power", "GPUs to be capped by node"): [{N: 8, M: 4}],
    ("power", "Power limit in force by node"): [{N: 1050}],
    ("power", "Age of the caps' lease"): [{N: 4}],
    ("power", "Agents without a lease"): [{N: 1, M: 0}],
    ("power", "Caps not in force yet"): [{N: 1}],
    ("power", "GPUs held by the facility's brake"): [{N: 1}],
    # 720 J/s by 600 tokens/s: 1.2 J each, 1.2 MJ for a million, which are a third of a kilowatt-hour.
    ("power", "Energy per million tokens"): [{NOTHING: 720 / 600 / 3.6}],
    ("power", "Writes and errors of the controller"): [
        {'{kind="NodePowerCap",verb="apply"}': 0.1},
        {'{component="meter"}': 0.05},
    ],
    ("power", "Leader"): [{'{instance="i"}': 1, '{instance="j"}': 0}],
}
"""Samples by labels of each of the panel's queries, by board and panel."""


def given(panel: Panel) -> list[str]:
    return [filled_in(query.expr) for query in panel.queries if query.proof is Proof.SERIES]


def proved(board: Board) -> list[Panel]:
    return [panel for panel in board.panels if given(panel)]


def test_every_query_that_the_run_does_not_fill_is_expected() -> None:
    asked = {(board.name, panel.title): len(given(panel)) for board in BOARDS for panel in proved(board)}
    assert asked == {place: len(samples) for place, samples in EXPECTED.items()}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_queries_answer(tmp_path: Path, board: Board) -> None:
    queries = [
        {
            "expr": query,
            "eval_time": "19m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
        }
        for panel in proved(board)
        for query, samples in zip(given(panel), EXPECTED[board.name, panel.title], strict=True)
    ]
    check(tmp_path, SERIES, rules=RULE_FILES, interval="1m", queries=queries)
