"""The state of the cluster: children that run, pools with their nodes and stock, start-up times of pods."""
