"""A fake vLLM fleet: what the engines of all Running pods would do with live traffic, in one process on loopback.

Pods of a control plane without nodes run no process. This package stands in for them: it reads the pods, the Services
and the routes from the API server, sends generated requests along the same data path, lets each pod's requests queue
as a continuous-batching engine on its GPU type would, and serves vLLM's metrics of every pod under
`/metrics/<namespace>/<pod>`. It also reports what its requests saw, so that a run can be judged from the outside.
"""
