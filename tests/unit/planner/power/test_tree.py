"""The tree's sums, and the model of a board's power and a GPU's speed."""

from __future__ import annotations

import pytest

from medley_planner.power import Board, CappedGpu, GpuSetting
from tests.unit.planner.power.small import A100, domain, node, tree_of


def test_chain_goes_up_and_nodes_come_from_below() -> None:
    site = domain("site", nodes=(), budget_watts=20000.0)
    row, rack = domain("row", parent="site", budget_watts=15000.0), domain("rack", parent="row", budget_watts=7500.0)
    tree = tree_of(site, row, rack)
    assert tree.chain("rack") == ("rack", "row", "site")
    assert [each.name for each in tree.nodes_of("site")] == ["row-low", "row-high", "rack-low", "rack-high"]
    assert [each.name for each in tree.nodes_of("rack")] == ["rack-low", "rack-high"]
    assert tree.bounds["rack"] == (2 * 2200 + 8 * 80, 2 * 2200 + 8 * 400)
    assert tree.bounds["site"] == (2 * tree.bounds["rack"][0], 2 * tree.bounds["rack"][1])


def test_each_gpu_has_one_place() -> None:
    tree = tree_of(domain("site", nodes=[node("a")], budget_watts=9000.0), domain("row", parent="site"))
    assert len(tree.places) == 12
    assert {chain for _, _, chain in tree.places} == {("site",), ("row", "site")}


def test_the_clock_that_polca_reports_sheds_a_fifth() -> None:
    """20 % less peak power at 1110 of 1410 MHz, of a board that idles at a fifth of its limit."""
    assert A100.watts_at(0.787) == pytest.approx(0.8 * 400.0, rel=0.01)


def test_a_board_draws_between_idle_and_its_most() -> None:
    assert A100.watts_at(1.0) == 400.0
    assert A100.watts_at(0.0) == 80.0
    assert A100.watts_at(0.5, full_watts=50.0) == 50.0  # idle already


def test_a_cap_is_a_ceiling_and_a_lock_only_a_model() -> None:
    assert A100.ceiling_watts(GpuSetting(0.5, 350.0)) == A100.watts_at(0.5)
    assert A100.ceiling_watts(GpuSetting(1.0, 350.0)) == 350.0


def test_decode_loses_little_speed_and_prefill_much() -> None:
    decode = CappedGpu("a", A100, clock_sensitivity=0.2)
    prefill = CappedGpu("b", A100, clock_sensitivity=0.9)
    assert decode.speed_under(GpuSetting(0.5)) == pytest.approx(1 / 1.2)
    assert prefill.speed_under(GpuSetting(0.5)) == pytest.approx(1 / 1.9)


def test_a_cap_that_does_not_bind_costs_nothing() -> None:
    gpu = CappedGpu("a", Board("H200", 75.0, 200.0, 700.0), watts=300.0)
    assert gpu.speed_under(GpuSetting(1.0, 300.0)) == 1.0
    assert gpu.speed_under(GpuSetting(1.0, 250.0)) < 1.0
    assert gpu.watts_under(GpuSetting(1.0, 250.0)) == 250.0
