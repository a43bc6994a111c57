"""From a plan to writes: goals, steps that keep capacity, route weights, and the children to apply and delete."""
