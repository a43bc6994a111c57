"""From what is known of a service's traffic to a `Demand`: a rate and the shares of prompt x generation buckets."""

from medley_planner.workload.forecast import Forecast, Forecaster, Method, SampleFault
from medley_planner.workload.gate import BAND, adopt, drifts, samples_in_window
from medley_planner.workload.grid import standard_buckets
from medley_planner.workload.histogram import BadHistogram, Histogram, HistogramFault, demand_from_histograms
from medley_planner.workload.marginal import mean_generation_tokens, mean_prompt_tokens
from medley_planner.workload.static import Size, demand_from_means, demand_from_sizes

__all__ = [
    "BAND",
    "BadHistogram",
    "Forecast",
    "Forecaster",
    "Histogram",
    "HistogramFault",
    "Method",
    "SampleFault",
    "Size",
    "adopt",
    "demand_from_histograms",
    "demand_from_means",
    "demand_from_sizes",
    "drifts",
    "mean_generation_tokens",
    "mean_prompt_tokens",
    "samples_in_window",
    "standard_buckets",
]
