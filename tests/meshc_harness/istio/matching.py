"""The `match` of VirtualService routes. Source: the reference, 3, and istio `core/route/route.go`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from meshc_harness.istio.attachment import is_subset
from meshc_harness.istio.calls import Caller, Request
from meshc_harness.istio.reading import Fields, reject
from meshc_harness.istio.texts import TextCheck, checked_regex

RequestCheck = Callable[[Request], bool]
MESH_GATEWAY = "mesh"


@dataclass(frozen=True, slots=True, kw_only=True)
class UriMatch:
    """`kind` is exact, prefix or regex, and `text` what was written: rewrites depend on it."""

    kind: str
    text: str
    check: TextCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpMatch:
    """One entry: all of it holds. `port`, labels and namespace choose whose sidecar has the route at all."""

    name: str
    port: int | None
    source_labels: Mapping[str, str]
    source_namespace: str
    uri: UriMatch | None
    checks: tuple[RequestCheck, ...]

    def is_for(self, caller: Caller, port: int) -> bool:
        return (
            self.port in {None, port}
            and is_subset(self.source_labels, caller.labels)
            and self.source_namespace in {"", caller.namespace}
        )

    def matches(self, request: Request) -> bool:
        return (self.uri is None or self.uri.check(request.path)) and all(check(request) for check in self.checks)


EVERYTHING = HttpMatch(name="", port=None, source_labels={}, source_namespace="", uri=None, checks=())


def read_match(fields: Fields) -> HttpMatch | None:
    """One entry of `match`; None for one of gateways alone."""
    gateways = fields.texts("gateways")
    ignores_case = fields.flag("ignoreUriCase") or False
    checks: list[RequestCheck] = []
    for name, reader in (("method", _method), ("authority", _authority), ("scheme", _scheme)):
        if (part := fields.fields(name)) is not None:
            checks.append(_reading(reader, _text_check(part)[2]))
    for name, part in _parts(fields.fields("headers")):
        checks.append(_header(name, part))
    for name, part in _parts(fields.fields("withoutHeaders")):
        checks.append(_without(name, part))
    for name, part in _parts(fields.fields("queryParams")):
        checks.append(_query(name, part))
    found = HttpMatch(
        name=fields.text("name") or "",
        port=fields.integer("port", 1, 65535),
        source_labels=fields.text_map("sourceLabels"),
        source_namespace=fields.text("sourceNamespace") or "",
        uri=_uri(fields.fields("uri"), ignores_case=ignores_case),
        checks=tuple(checks),
    )
    fields.ignore("statPrefix")
    fields.finish()
    return found if not gateways or MESH_GATEWAY in gateways else None


def _method(request: Request) -> str:
    return request.method


def _authority(request: Request) -> str:
    return request.authority


def _scheme(_request: Request) -> str:
    return "http"


def _reading(read: Callable[[Request], str], check: TextCheck) -> RequestCheck:
    return lambda request: check(read(request))


def _parts(fields: Fields | None) -> list[tuple[str, Fields]]:
    if fields is None:
        return []
    found = []
    for name, _ in fields.pairs():
        part = fields.fields(name)
        if part is None or not name or name.startswith("@"):
            reject(fields.where, f"`{name}`")
        found.append((name, part))
    return found


def _text_check(fields: Fields, *, allows_empty_prefix: bool = False) -> tuple[str, str, TextCheck]:
    """A StringMatch: its kind, its text, and its check. An empty prefix is taken for uris alone."""
    kinds = [kind for kind in ("exact", "prefix", "regex") if kind in fields]
    if len(kinds) != 1:
        reject(fields.where, f"not one of exact, prefix, regex: {kinds}")
    kind = kinds[0]
    text = fields.text(kind) or ""
    fields.finish()
    if kind == "exact":
        return kind, text, text.__eq__
    if kind == "regex":
        return kind, text, checked_regex(text, fields.where)
    if not text and not allows_empty_prefix:
        reject(fields.where, "empty prefix")
    return kind, text, lambda found: found.startswith(text)


def _is_presence(fields: Fields) -> bool:
    """`{}`, and the regex `*`, which is none."""
    return not len(fields) or (len(fields) == 1 and fields.value("regex") == "*")


def _uri(fields: Fields | None, *, ignores_case: bool) -> UriMatch | None:
    if fields is None:
        return None
    kind, text, check = _text_check(fields, allows_empty_prefix=True)
    if not ignores_case or kind == "regex":
        return UriMatch(kind=kind, text=text, check=check)
    low = text.lower()
    if kind == "exact":
        return UriMatch(kind=kind, text=text, check=lambda path: path.lower() == low)
    return UriMatch(kind=kind, text=text, check=lambda path: path.lower().startswith(low))


def _header(name: str, fields: Fields) -> RequestCheck:
    key = name.lower()
    if _is_presence(fields):
        return lambda request: bool(request.values(key))
    check = _text_check(fields)[2]
    return lambda request: any(check(value) for value in request.values(key))


def _without(name: str, fields: Fields) -> RequestCheck:
    """The opposite; a missing header counts as an empty one, so that it satisfies this unless empty text matches."""
    key = name.lower()
    if _is_presence(fields):
        return lambda request: not request.values(key)
    check = _text_check(fields)[2]
    return lambda request: not any(check(value) for value in request.values(key) or ("",))


def _query(name: str, fields: Fields) -> RequestCheck:
    if _is_presence(fields):
        return lambda request: request.parameter(name) is not None
    check = _text_check(fields)[2]
    return lambda request: (found := request.parameter(name)) is not None and check(found)
