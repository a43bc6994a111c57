"""The estimate against measured vLLM: what the documentation promises of dense models, and the band that is printed."""

from __future__ import annotations

import pytest

from tests.perf.bench_step_time import MEASURED, Measured, by_group, fitted_errors, measured, offset_ms, tpot_error

HOPPER, BLACKWELL = ("H100", "H200"), ("B200", "B300", "GB200", "GB300")
needs_data = pytest.mark.skipif(not MEASURED.exists(), reason=f"no measured data at {MEASURED}")


@pytest.fixture(scope="module")
def data() -> Measured:
    return measured()


@needs_data
def test_dense_models_are_within_the_promised_errors(data: Measured) -> None:
    for rows in by_group(data.rows).values():
        if rows[0].dense:
            assert tpot_error(rows) <= 0.15
    assert sum(row.dense and row.group[1] in BLACKWELL for row in data.rows) >= 100


@needs_data
def test_an_overhead_fitted_on_one_group_predicts_the_other_hopper_groups(data: Measured) -> None:
    groups = {group: rows for group, rows in by_group(data.rows).items() if rows[0].dense and group[1] in HOPPER}
    assert len(groups) >= 3
    for fitted, rows in groups.items():
        others = [row for group, some in groups.items() if group != fitted for row in some]
        assert tpot_error(others, offset_ms=offset_ms(rows)) <= 0.15


@needs_data
def test_three_points_of_a_dense_group_predict_its_other_rows(data: Measured) -> None:
    groups = [rows for rows in by_group(data.rows).values() if rows[0].dense]
    assert len(groups) >= 10
    for rows in groups:
        errors = fitted_errors(rows)
        assert sum(errors) / len(errors) <= 0.12


@needs_data
def test_mixtures_are_within_their_printed_band(data: Measured) -> None:
    for name, limit in (("H100", 0.20), ("H200", 0.20), ("B200", 0.20), ("B300", 0.20)):
        rows = [row for row in data.rows if not row.dense and row.group[1] == name]
        assert rows
        assert tpot_error(rows) <= limit


@needs_data
def test_every_row_is_predicted_or_says_why(data: Measured) -> None:
    assert len(data.rows) > 1000
    assert all("GB" in reason or "tensorParallel" in reason for reason in data.unpredicted)
