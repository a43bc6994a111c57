"""Racks of GPU servers under real controllers and agents of power, in a closed loop: load, registers, meter, caps."""

import os

# The kubelets of this process speak gRPC, whose handlers of fork() would run in each child before its exec, and may end
# it ("Epoll1Poller encountered epoll_wait error"). No child goes on with gRPC.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
