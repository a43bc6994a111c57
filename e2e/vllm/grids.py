"""The loads of the check: a grid to profile with, and others, in sizes, mixture and rate, to hold the profile against.

They are short, so that the whole takes minutes, and stay below what two cores can serve: beyond that a mean says how
long the queue grew and nothing of the engine.
"""

from __future__ import annotations

from medley_operator.profile.loads import LoadRun, Size, grid

TOKEN_IDS = range(10, 500)
PROFILE = (
    *grid([Size(32, 48)], concurrencies=(1, 4, 12), rates_rps=(), requests=12),
    *grid([Size(256, 48)], concurrencies=(1, 4), rates_rps=(1.0,), requests=12),
    *grid([Size(768, 32)], concurrencies=(1, 3), rates_rps=(), requests=8),
)
TRAFFIC = (
    LoadRun((Size(32, 48), Size(256, 48), Size(768, 32)), 36, rate_rps=0.6),
    LoadRun((Size(32, 48), Size(256, 48), Size(32, 96)), 72, rate_rps=1.2),
)
"""The load under which the counters are watched: requests that come one by one, as an engine in service gets them.
Clients that wait for answers, as most of the profile's do, send their prompts in step, which no engine in service
meets."""
HELD_BACK = (
    LoadRun((Size(64, 64), Size(160, 32), Size(96, 96)), 48, rate_rps=1.5),
    LoadRun((Size(400, 24), Size(128, 64), Size(512, 80)), 40, rate_rps=0.8),
)
WARM_UP = grid([Size(32, 16), Size(512, 16)], concurrencies=(4,), rates_rps=(), requests=8)
ROUNDS = 2
"""Each sends the profile, the traffic and then all that is held back: what drifts on the machine meets all alike."""
