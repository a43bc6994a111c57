"""A network namespace of our own in which every address of the pod range is local.

Asked of the kernel itself, so that neither root's tools nor root are needed where user namespaces are allowed. The
process that enters stays inside, and so does all that it starts; nothing outside can be reached any more.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import ipaddress
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from e2e.gateway.errors import GatewayError

POD_RANGE = "10.244.0.0/16"
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_SIOCSIFADDR, _SIOCSIFNETMASK = 0x8916, 0x891C
_IFF_UP = 1

Unshare = Callable[[int], None]


class NamespaceRefused(GatewayError):
    """The kernel gives this process no network namespace; the message says the way out."""


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def enter_namespace(pod_range: str, *, unshare: Unshare = unshare) -> None:
    """Moves this process, which must have one thread, into a new network namespace with `pod_range` on its loopback.

    Without the right to make one it takes a user namespace too, in which it is root. Raises `NamespaceRefused`.
    """
    _leave(unshare)
    network = ipaddress.ip_network(pod_range)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        _raise_up(handle, "lo")
        # An address with this mask on loopback makes the whole range local.
        _ask(handle, _SIOCSIFADDR, "lo:pods", _address(str(network.network_address + 1)))
        _ask(handle, _SIOCSIFNETMASK, "lo:pods", _address(str(network.netmask)))


def _leave(unshare: Unshare) -> None:
    try:
        unshare(_CLONE_NEWNET)
        return
    except OSError as error:
        if error.errno != errno.EPERM:
            raise _refused(error) from error
    user, group = os.getuid(), os.getgid()
    try:
        unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    except OSError as error:
        raise _refused(error) from error


def _refused(error: OSError) -> NamespaceRefused:
    return NamespaceRefused(
        f"this needs a network namespace of its own, and the kernel refuses one ({error.strerror}). Way out: run as "
        "root, in a container with CAP_SYS_ADMIN, or where users may make namespaces (sysctl "
        "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces "
        "above 0)"
    )


def _raise_up(handle: socket.socket, name: str) -> None:
    found = fcntl.ioctl(handle, _SIOCGIFFLAGS, struct.pack("16sh22x", name.encode(), 0))
    flags = struct.unpack("16sh22x", found)[1]
    fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh22x", name.encode(), flags | _IFF_UP))


def _ask(handle: socket.socket, request: int, name: str, address: bytes) -> None:
    fcntl.ioctl(handle, request, struct.pack("16s16s8x", name.encode(), address))


def _address(text: str) -> bytes:
    return struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(text))
