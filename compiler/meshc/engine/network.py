"""An isolated network of one process and its children, on which every address of IPv4 and IPv6 is local.

`isolate` moves the calling process into a new network namespace (and, without privilege, a new user namespace), brings
the loopback up, and routes the whole address space to it. After that any source address such as 10.1.2.3 or
2001:db8::1 can be bound and every endpoint's address reached, all within the process's own family, and no port can
clash with the machine's. There is no way out: nothing that runs inside can reach a real network.

The move cannot be undone and the kernel refuses it to a process with several threads: call it first thing in a child.
Sources: unshare(2), user_namespaces(7), rtnetlink(7), Linux "AnyIP" (local routes wider than one address).
"""

import ctypes
import errno
import os
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_CLONE_NEWUSER: Final = 0x10000000
_CLONE_NEWNET: Final = 0x40000000

_IP_FREEBIND: Final = 15
_IP_BIND_ADDRESS_NO_PORT: Final = 24

_NLMSG_ERROR: Final = 2
_NLM_F_REQUEST_ACK_CREATE: Final = 0x1 | 0x4 | 0x400
_RTM_NEWLINK: Final = 16
_RTM_NEWROUTE: Final = 24
_IFF_UP: Final = 1
_RTA_OIF: Final = 4
_RT_TABLE_LOCAL: Final = 255
_RTPROT_BOOT: Final = 3
_RTN_LOCAL: Final = 2
_RT_SCOPE_HOST: Final = 254

_ADVICE: Final = (
    "run as root, or allow user namespaces (`sysctl kernel.unprivileged_userns_clone=1`,"
    " `sysctl kernel.apparmor_restrict_unprivileged_userns=0`; in Docker `--security-opt seccomp=unconfined`"
    " or `--cap-add SYS_ADMIN --cap-add NET_ADMIN`); without, only addresses in 127.0.0.0/8 can be used"
)


class IsolationUnavailableError(Exception):
    """No network of its own for this process; `advice` says what the user can do about it.

    Where only the last steps failed the process may already be in a namespace without a usable network, so a caller
    that goes on without isolation must do so in another process.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.advice = _ADVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What the isolated network can do beyond IPv4, which is complete.

    `has_ipv6`: IPv6 addresses can be reached, and bound as sources by `prepare_source`. `any_ipv6_listener`: programs
    that know nothing of this network, such as Envoy, can listen on any IPv6 address too, not just on `::` and `::1`.
    """

    has_ipv6: bool
    any_ipv6_listener: bool


def isolate() -> Network:
    """Move this process, and all that it will start, into a new isolated network. Irreversible.

    Raises IsolationUnavailableError.
    """
    if not sys.platform.startswith("linux"):
        raise IsolationUnavailableError("only Linux has network namespaces")
    _enter_namespaces()
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
            netlink.bind((0, 0))
            loopback = socket.if_nametoindex("lo")
            _ask(netlink, _RTM_NEWLINK, struct.pack("=BxHiII", socket.AF_UNSPEC, 0, loopback, _IFF_UP, _IFF_UP))
            _route_everything(netlink, socket.AF_INET, loopback)
            has_ipv6 = _try_ipv6(netlink, loopback)
    except OSError as error:
        raise IsolationUnavailableError(f"the new network cannot be set up: {error.strerror}") from error
    _set_network_parameter("net/ipv4/ip_unprivileged_port_start", "0")
    # An IPv6 address counts as bindable only if it is assigned to an interface, local route or not; hence the parameter.
    return Network(
        has_ipv6=has_ipv6, any_ipv6_listener=has_ipv6 and _set_network_parameter("net/ipv6/ip_nonlocal_bind", "1")
    )


def prepare_source(connection: socket.socket, address: str) -> None:
    """Bind an unconnected TCP socket to a source address that may belong to no interface, leaving the port open.

    The port is chosen when connecting, so that one address can have thousands of connections to different peers.
    Raises OSError, at the latest when connecting, if the address is of another family or is not local.
    """
    if sys.platform.startswith("linux"):
        connection.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    connection.bind((address, 0))


def _enter_namespaces() -> None:
    """A network namespace alone where that is allowed (root), else together with a user namespace."""
    user, group = os.getuid(), os.getgid()
    if _unshare(_CLONE_NEWNET) == 0:
        return
    error = _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    if error == errno.EINVAL:
        raise IsolationUnavailableError("the process already has several threads")
    if error != 0:
        raise IsolationUnavailableError(f"the kernel refuses a new user namespace: {os.strerror(error)}")
    try:
        # user_namespaces(7): an unprivileged process may write gid_map only after it has given up setgroups.
        Path("/proc/self/setgroups").write_text("deny", encoding="utf-8")
        # Mapped to root, so that the privileges of this namespace survive the exec of children.
        Path("/proc/self/uid_map").write_text(f"0 {user} 1", encoding="utf-8")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1", encoding="utf-8")
    except OSError as failure:
        raise IsolationUnavailableError(f"user namespaces are restricted: {failure.strerror}") from failure


def _unshare(flags: int) -> int:
    """The error number, 0 for success."""
    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.unshare(ctypes.c_int(flags)) == 0 else ctypes.get_errno()


def _try_ipv6(netlink: socket.socket, loopback: int) -> bool:
    try:
        _route_everything(netlink, socket.AF_INET6, loopback)
    except OSError:
        # The kernel was booted without IPv6.
        return False
    return True


def _route_everything(netlink: socket.socket, family: socket.AddressFamily, loopback: int) -> None:
    """`ip route add local default dev lo table local`: every address of the family is ours."""
    destination_bits = source_bits = service = 0
    route = struct.pack(
        "=BBBBBBBBI",
        family,
        destination_bits,
        source_bits,
        service,
        _RT_TABLE_LOCAL,
        _RTPROT_BOOT,
        _RT_SCOPE_HOST,
        _RTN_LOCAL,
        0,
    )
    _ask(netlink, _RTM_NEWROUTE, route + struct.pack("=HHI", 8, _RTA_OIF, loopback))


def _ask(netlink: socket.socket, kind: int, payload: bytes) -> None:
    """Send one request and wait for its acknowledgement; raises OSError with the kernel's error."""
    length = 16 + len(payload)
    netlink.send(struct.pack("=IHHII", length, kind, _NLM_F_REQUEST_ACK_CREATE, 1, 0) + payload)
    answer = netlink.recv(65536)
    answer_kind, code = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 16)[0]
    if answer_kind != _NLMSG_ERROR or code != 0:
        raise OSError(-code, os.strerror(-code))


def _set_network_parameter(name: str, value: str) -> bool:
    """Whether it could be set: in containers these files may be read-only."""
    try:
        Path("/proc/sys", name).write_text(value, encoding="utf-8")
    except OSError:
        return False
    return True
