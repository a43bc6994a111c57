"""The inference engine in Kubernetes: its arguments, its Deployment, and what its pods say of how they were started."""
