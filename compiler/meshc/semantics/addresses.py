"""Addresses of peers and clients, in a form that compares fast."""

from functools import lru_cache
from ipaddress import ip_address

Address = tuple[int, int]
"""The IP version, 4 or 6, and the address as a number."""


@lru_cache(maxsize=4096)
def read_address(text: str) -> Address | None:
    """An address, or None for what is none, one with a port included. A zone (`%eth0`) does not count."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.version, int(address)


def client_address(peer: Address | None, forwarded_for: tuple[str, ...], trusted_hops: int) -> Address | None:
    """The client's address by the `x-forwarded-for` values that arrived, `trusted_hops` deep.

    That is the entry `trusted_hops` from the right, counted from 1; where there are fewer, or it is no address, the peer's.
    Source: Envoy `use_remote_address: true` with `xff_num_trusted_hops`.
    """
    if trusted_hops == 0 or not forwarded_for:
        return peer
    # Envoy leaves out empty lines when it joins the header's lines to one.
    entries = ",".join(value for value in forwarded_for if value).split(",")
    if len(entries) < trusted_hops:
        return peer
    return read_address(entries[-trusted_hops].strip()) or peer
