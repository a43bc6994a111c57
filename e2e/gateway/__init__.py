"""A real gateway and a real data path: Envoy Gateway translates our routes, Envoy carries real requests to pods.

Everything runs in a network namespace of its own, in which each address of the pod range is local. So engines listen
at their pods' own addresses, Prometheus scrapes them there, and Envoy reaches them as in a cluster.
"""
