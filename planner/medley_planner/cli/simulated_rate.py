"""The simulated largest rate of one size for `medley estimate --simulate`, kept on disk until it is asked again.

Apart: it loads the simulator, which an estimate without `--simulate` never needs.
"""

from __future__ import annotations

import math

from medley_planner.capacity import LatencyTargets, Speed, TableGroup, TableKey
from medley_planner.capacity.cache import TableCache
from medley_planner.capacity.cell import simulated_rate_rps
from medley_planner.capacity.estimate import EstimateRequest
from medley_planner.capacity.simulated import engine_of_key
from medley_planner.cli.arguments import BadOption
from medley_planner.exit_status import report_error


def simulated_max_rate_rps(question: EstimateRequest, *, guess_rps: float, cache: TableCache) -> float:
    """Requests per second, not derated; 0 where the closed form's `guess_rps` is.

    A cache that cannot be written is reported on standard error. Raises BadOption where the engine cannot be simulated.
    """
    if guess_rps <= 0.0:
        return 0.0
    key = _key(question)
    prompt, generation = round(question.prompt_tokens), round(question.generation_tokens)
    found = cache.get_rate(key, prompt_tokens=prompt, generation_tokens=generation)
    if found is not None:
        return found
    try:
        engine = engine_of_key(key)
    except ValueError as error:
        raise BadOption.whole("--simulate", str(error)) from None
    rate = simulated_rate_rps(
        engine, prompt_tokens=prompt, generation_tokens=generation, targets=key.group.targets, guess_rps=guess_rps
    )
    try:
        cache.put_rate(key, rate, prompt_tokens=prompt, generation_tokens=generation)
    except OSError as error:
        report_error("estimate", f"cannot store tables ({error}); give another --cache-dir")
    return rate


def _key(question: EstimateRequest) -> TableKey:
    targets = LatencyTargets(
        ttft_seconds=question.ttft_target_seconds or math.inf,
        tpot_seconds=question.tpot_target_seconds or math.inf,
        percentile=question.percentile,
    )
    return TableKey.of(
        TableGroup(question.shape, targets, question.max_model_len, question.max_sequences),
        question.layout,
        token_budget=question.token_budget,
        speed=Speed(factors=question.factors),
        fit=question.fit(),
    )
