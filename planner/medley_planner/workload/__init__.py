"""From what is known of a service's traffic to a `Demand`: a rate and the shares of prompt x generation buckets."""

from medley_planner.workload.forecast import Forecast, Forecaster, SampleFault
from medley_planner.workload.gate import BAND, adopt, drifts, samples_in_window
from medley_planner.workload.grid import standard_buckets
from medley_planner.workload.held_tokens import HeldTokens, Moments, Untold, joint_ratio
from medley_planner.workload.histogram import (
    BadHistogram,
    Histogram,
    HistogramFault,
    demand_from_histograms,
    mean_square,
)
from medley_planner.workload.joint import Sizes, demand_from_cells, demand_from_tilt, demand_from_variants
from medley_planner.workload.marginal import lengthened, mean_generation_tokens, mean_prompt_tokens
from medley_planner.workload.past_errors import SEASONS, Method
from medley_planner.workload.prefix import sure_hit_rate
from medley_planner.workload.season import STEP_SECONDS as SEASON_STEP_SECONDS
from medley_planner.workload.season import Season
from medley_planner.workload.size_trend import SizeTrend
from medley_planner.workload.static import demand_from_means

__all__ = [
    "BAND",
    "SEASONS",
    "SEASON_STEP_SECONDS",
    "BadHistogram",
    "Forecast",
    "Forecaster",
    "HeldTokens",
    "Histogram",
    "HistogramFault",
    "Method",
    "Moments",
    "SampleFault",
    "Season",
    "SizeTrend",
    "Sizes",
    "Untold",
    "adopt",
    "demand_from_cells",
    "demand_from_histograms",
    "demand_from_means",
    "demand_from_tilt",
    "demand_from_variants",
    "drifts",
    "joint_ratio",
    "lengthened",
    "mean_generation_tokens",
    "mean_prompt_tokens",
    "mean_square",
    "samples_in_window",
    "standard_buckets",
    "sure_hit_rate",
]
