"""The functions that Kubernetes adds to CEL, as far as definitions of the meshes use them, and a few beside.

Source: Kubernetes, "Common Expression Language in Kubernetes": libraries for strings, lists, URLs and addresses.
"""

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from itertools import pairwise
from typing import Final
from urllib.parse import SplitResult, urlsplit


def _split_url(text: str) -> SplitResult | None:
    """An absolute URI or an absolute path, as Go's `url.ParseRequestURI` takes it."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    has_blank = any(char.isspace() or not char.isprintable() for char in text)
    return None if has_blank or not (parts.scheme or text.startswith("/")) else parts


def _is_url(text: str) -> bool:
    return _split_url(text) is not None


def _url(text: str) -> Mapping[str, str]:
    parts = _split_url(text)
    if parts is None:
        raise ValueError(f"`{text}` is no URL")
    return {"scheme": parts.scheme, "host": parts.netloc, "hostname": parts.hostname or "", "path": parts.path}


def _part_of_url(name: str) -> Callable[[Mapping[str, str]], str]:
    return lambda url: url[name]


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_cidr(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _substring(text: str, start: int, end: int | None = None) -> str:
    last = len(text) if end is None else end
    if not 0 <= start <= last <= len(text):
        raise ValueError("out of range")
    return text[start:last]


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    return text.split(separator, limit - 1 if limit > 0 else -1) if separator else list(text)


def _is_sorted(values: list[str]) -> bool:
    return all(one <= other for one, other in pairwise(values))


FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "getHost": _part_of_url("host"),
    "getHostname": _part_of_url("hostname"),
    "getEscapedPath": _part_of_url("path"),
    "getScheme": _part_of_url("scheme"),
    "indexOf": lambda text, part: text.find(part),
    "isCIDR": _is_cidr,
    "isIP": _is_ip,
    "isSorted": _is_sorted,
    "isURL": _is_url,
    "join": lambda values, separator="": separator.join(values),
    "lastIndexOf": lambda text, part: text.rfind(part),
    "lowerAscii": lambda text: text.lower(),
    "replace": lambda text, old, new: text.replace(old, new),
    "split": _split,
    "substring": _substring,
    "trim": lambda text: text.strip(),
    "upperAscii": lambda text: text.upper(),
    "url": _url,
}
"""By name; a function that is called on a value gets it as the first argument."""
