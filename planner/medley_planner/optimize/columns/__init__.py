"""Many services that share limits, by column generation (Dantzig and Wolfe 1960): a column is one service's replicas.

Master, over the columns n gathered in a `ColumnPool`, of service s(n) = `row[n]`:

    least  sum_n (c_n + p d_s(n) u_n) x_n
    with   sum_{n of s} x_n  = 1      for each service s
           sum_n a_nr x_n   <= b_r    for each shared limit r, whose dual is its price pi_r >= 0
           x_n >= 0 in the relaxation, 0 or 1 in the integer master

c_n = `cost[n]` in US dollars per hour, starting new replicas included; a_nr = `use[n, r]` GPUs, places or watts; b_r =
`stock[r]`, what the services' minima leave; u_n = `unmet[n]` the part of the demand that is left out; d_s = `weight[s]`
the requests per second of service s, weighed by priority; p = `shed_price`. All counts are beyond the minima. To prove
a plan that leaves out demand the objective is cost alone, and p is the dual of one more row: sum_n d_s(n) u_n x_n <= U,
`unmet_weight`.

Pricing, each service s alone at prices pi, over its cells j in `ServiceArrays`:

    z_s(pi) = least  sum_j (`cost[s, j]` + sum_r `use[s, j, r]` pi_r) y_j + p d_s u
              over   whole y_j <= `room[s, j]` that carry the part 1 - u of the demand as s is routed, within the
                     service's own limits and requirements (u = 0 while demand must not be left out)

Bound, at any prices: no plan costs less than sum_s z_s(pi) - sum_r pi_r b_r beyond the minima (Lagrange). Master and
pricing take turns until this bound is near enough to the relaxation (`generate.py`); then columns are chosen for each
service by rounding, by the integer master over what is near the cheapest, and by swaps (`solve.py`).

How pricing carries the demand depends on the router. Equal pods: n >= W_j for each variant in use, so one is tried
after the other as the slowest (`price_equal_pods.py`). One weight per variant: a covering knapsack, sum_j y_j / W_j >=
1 - u (`by_weight`). Sizes seen: shares of classes, sum_c W_jc x_jc <= y_j (`by_class`). What these searches do not know
is priced by the integer program (`price_by_program.py`). Only `coupled.py`, `solve_group.py`, `decompose.py`,
`cheaper.py` and `shortages.py` use this package; it gives back what the joint program does: answers and a bound.
"""

from medley_planner.optimize.columns.at_prices import fleets_at_prices, servable
from medley_planner.optimize.columns.least_unmet import UnmetFloor, least_unmet
from medley_planner.optimize.columns.service_arrays import minima_fit
from medley_planner.optimize.columns.solve import relaxed_prices, solve_columns

__all__ = [
    "UnmetFloor",
    "fleets_at_prices",
    "least_unmet",
    "minima_fit",
    "relaxed_prices",
    "servable",
    "solve_columns",
]
