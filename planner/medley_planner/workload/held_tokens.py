"""How prompt and generation sizes go together, read off the tokens that the KV caches hold. Pure.

Little's law: a request holds its prompt, and on average half of its generation, for as long as it decodes, so that

    mean tokens held = rate * (ITL * (E[prompt * generation] + E[generation^2] / 2) + T * E[prompt^2] / E[prompt])

with ITL the mean time between two tokens and T the mean time that a prompt's prefill takes, in which it holds its
blocks already (longer prompts take longer in proportion). All but E[prompt * generation] is exported by the engine.
The last block of a sequence is half empty on average. Not for caches that share much between requests (a shared block
counts once), that are full (requests wait or start anew) or nearly empty, nor for few requests or a growing queue:
then the answer is why not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

FEWEST_REQUESTS = 200.0
"""With these, the figure is off by some 10 % on public traces (one standard deviation)."""
SAMPLE_DEVIATION = 1.5
"""Standard deviation of the tokens that one sequence holds at a random time, relative to the mean: 1.2 to 1.9 on public
traces."""
MAX_DOUBT = 0.3
"""Largest error of the ratio: a figure that is off by more is useless."""
MAX_PREFIX_HIT_RATE = 0.2
MAX_PREEMPTIONS = 0.01
"""Per request."""
LEAST_KV_USAGE, MOST_KV_USAGE = 0.005, 0.9
"""Below, rounding and the half-empty blocks outweigh; above, requests wait for room."""
MAX_GROWTH = 0.2
"""Growth of what is in flight, as a share of the requests that finished."""
LEAST_SHARE = 0.3
"""Least share of prompts that decode in the tokens held: less is a difference of large figures."""


class HeldFault(StrEnum):
    """Why the tokens held say nothing of the joint sizes."""

    FEW_REQUESTS = "FewRequests"
    PREFIX_HITS = "PrefixHits"
    PREEMPTIONS = "Preemptions"
    UNSTEADY = "Unsteady"
    CACHE_IDLE = "CacheIdle"
    CACHE_FULL = "CacheFull"
    NO_LATENCY = "NoLatency"
    UNCERTAIN = "Uncertain"
    IMPLAUSIBLE = "Implausible"


@dataclass(frozen=True, slots=True)
class HeldTokens:
    """The counts of one service's engines within the same `seconds`.

    `finished`: requests. `growth`: by how many more are in flight at the end. `tokens_held`: mean over the time, all
    replicas together. `usage`: mean share of their KV caches. `block_tokens`: of one KV block. `inter_token_seconds`
    and `inter_tokens`: sum and count of the times between two tokens. `prefill_seconds`: sum over requests. `samples`:
    times at which the caches were looked at.
    """

    seconds: float
    finished: float
    growth: float
    tokens_held: float
    samples: float
    usage: float
    block_tokens: float
    inter_token_seconds: float
    inter_tokens: float
    prefill_seconds: float
    preemptions: float
    prefix_hit_rate: float


@dataclass(frozen=True, slots=True)
class Moments:
    """Mean and mean square of one size."""

    mean: float
    square: float


@dataclass(frozen=True, slots=True)
class Untold:
    """Why there is no figure: a stable word, and a sentence with the values."""

    fault: HeldFault
    message: str


def joint_ratio(held: HeldTokens, *, prompt: Moments, generation: Moments) -> float | Untold:
    """E[prompt x generation] over E[prompt] * E[generation]: 1 for independent sizes. Not clamped.

    What prompts hold while they prefill is known to its own size at best (they wait for each other, and engines take
    their blocks at once or chunk by chunk), so the ratio is moved towards 1 by as much. That, and what is open since
    the caches are only looked at now and then, must not be more than `MAX_DOUBT`.
    """
    refusal = _refusal(held)
    if refusal is not None:
        return refusal
    # Each sequence in the batch (their number follows from Little's law) wastes half a block.
    in_batch = (held.inter_token_seconds + held.prefill_seconds) / held.seconds
    tokens = held.tokens_held - in_batch * held.block_tokens / 2.0
    per_request = tokens * held.seconds / held.finished
    prefilling = held.prefill_seconds / held.finished * prompt.square / prompt.mean
    latency = held.inter_token_seconds / held.inter_tokens
    product = (per_request - prefilling) / latency - generation.square / 2.0
    if product * latency < LEAST_SHARE * per_request:
        return Untold(
            HeldFault.IMPLAUSIBLE,
            f"of {tokens:.0f} tokens held, prompts that decode are only "
            f"{100 * max(product, 0.0) * latency / max(per_request, 1e-9):.0f} %, too few to separate them from the "
            "rest",
        )
    independent = prompt.mean * generation.mean
    ratio = product / independent
    sampling = per_request * SAMPLE_DEVIATION / math.sqrt(max(in_batch * held.samples, 1.0))
    doubt = prefilling / (latency * independent)
    open_by = doubt + sampling / (latency * independent)
    if open_by > MAX_DOUBT:
        return Untold(
            HeldFault.UNCERTAIN,
            f"{held.samples:.0f} samples of {in_batch:.1f} sequences and prefill leave the joint mean uncertain by "
            f"{100 * open_by:.0f} %",
        )
    return 1.0 + math.copysign(max(abs(ratio - 1.0) - doubt, 0.0), ratio - 1.0)


def _refusal(held: HeldTokens) -> Untold | None:
    figures = (held.seconds, held.finished, held.tokens_held, held.inter_token_seconds, held.inter_tokens)
    if not all(map(math.isfinite, figures)):
        return Untold(HeldFault.IMPLAUSIBLE, "a figure of the KV caches or of inter-token latency is not a number")
    if held.finished < FEWEST_REQUESTS:
        return Untold(
            HeldFault.FEW_REQUESTS, f"{held.finished:.0f} requests finished, but {FEWEST_REQUESTS:.0f} are needed"
        )
    if held.inter_tokens <= 0 or held.inter_token_seconds <= 0 or held.seconds <= 0:
        return Untold(HeldFault.NO_LATENCY, "no time between two tokens was counted")
    if held.prefix_hit_rate > MAX_PREFIX_HIT_RATE:
        return Untold(
            HeldFault.PREFIX_HITS,
            f"{100 * held.prefix_hit_rate:.0f} % of prompt tokens are prefix-cache hits, which share blocks that "
            f"count once; the limit is {100 * MAX_PREFIX_HIT_RATE:.0f} %",
        )
    if held.preemptions > MAX_PREEMPTIONS * held.finished:
        return Untold(HeldFault.PREEMPTIONS, f"{held.preemptions:.0f} sequences were preempted: KV caches are full")
    if abs(held.growth) > MAX_GROWTH * held.finished:
        return Untold(
            HeldFault.UNSTEADY,
            f"{held.growth:+.0f} requests in flight while {held.finished:.0f} finished: the load is not steady",
        )
    if held.usage > MOST_KV_USAGE:
        return Untold(HeldFault.CACHE_FULL, f"KV caches are {100 * held.usage:.0f} % full: requests wait for room")
    if held.usage < LEAST_KV_USAGE:
        return Untold(HeldFault.CACHE_IDLE, f"KV caches are {100 * held.usage:.2f} % full, too little to derive sizes")
    return None
