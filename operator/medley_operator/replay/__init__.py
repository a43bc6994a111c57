"""The whole loop replayed in fast time: the operator's own decisions, round by round, in a simulated world.

The world is simulated (arrivals, engines, pods, nodes, Prometheus, bills); what decides is not: `prepare`, planning,
`conclude` and `act` are the functions that the operator runs. Pure but for what the caller reads and prints.
"""
