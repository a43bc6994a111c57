"""The table of one replica: the simulated largest rate of each standard bucket beside the closed form's. Pure.

Takes seconds, so nobody who waits calls it. Equal keys give equal tables.
"""

from __future__ import annotations

from medley_planner.capacity.batch import Table, max_rates_rps
from medley_planner.capacity.cell import SimulatedEngine, simulated_rate_rps
from medley_planner.capacity.grid_ratios import GridRatios
from medley_planner.capacity.table_key import TableKey
from medley_planner.workload.grid import standard_buckets


def simulate_table(key: TableKey) -> GridRatios:
    """Raises ValueError where no engine runs so: more sequences than tokens in a step."""
    engine = engine_of_key(key)
    closed = closed_form_of(key)
    targets = key.group.targets
    simulated = tuple(
        simulated_rate_rps(
            engine,
            prompt_tokens=round(bucket.prompt_tokens),
            generation_tokens=round(bucket.generation_tokens),
            targets=targets,
            guess_rps=guess,
        )
        if guess > 0.0
        else 0.0
        for bucket, guess in zip(standard_buckets(), closed, strict=True)
    )
    return GridRatios(key=key, simulated_rps=simulated, closed_form_rps=closed)


def engine_of_key(key: TableKey) -> SimulatedEngine:
    """Raises ValueError as `simulate_table` does."""
    return SimulatedEngine.of(
        key.step(),
        token_budget=key.token_budget,
        max_sequences=key.group.max_sequences,
        kv_tokens=key.kv_tokens,
        max_model_len=key.group.max_model_len,
        cost=key.fit().cost,
    )


def closed_form_of(key: TableKey) -> tuple[float, ...]:
    """The closed form's rates of the standard buckets."""
    targets = key.group.targets
    table = Table(step=key.step(), fit=key.fit(), token_budget=key.token_budget, max_sequences=key.group.max_sequences)
    rates = max_rates_rps(
        [table],
        standard_buckets(),
        ttft_seconds=targets.ttft_seconds,
        tpot_seconds=targets.tpot_seconds,
        percentile=targets.percentile,
    )
    return tuple(rates[0].tolist())
