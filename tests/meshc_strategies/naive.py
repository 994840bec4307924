"""A second evaluator, written from the language's contract as plainly as possible, sharing no code with the first."""

import ipaddress
import re

from meshc import ir
from meshc.request import Request

HEX = "0123456789abcdefABCDEF"
UNRESERVED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"


class RefusedError(Exception):
    """The request is answered with a status, None for a refused connection."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


def normalize_path(path):  # noqa: C901 -- one plain loop, on purpose
    if not path.startswith("/"):
        raise RefusedError(400)
    out, at = "", 0
    stray = []  # where in `out` a `%` stands that started no escape
    segment_is_raw = True  # whether nothing of this segment was decoded yet
    while at < len(path):
        char = path[at]
        if char == "%" and at + 2 < len(path) and path[at + 1] in HEX and path[at + 2] in HEX:
            value = chr(int(path[at + 1 : at + 3], 16))
            if value in "\0/\\":
                raise RefusedError(400)
            if value in UNRESERVED:
                out += value
                segment_is_raw = False
            else:
                out += path[at : at + 3]
            at += 3
            continue
        if char == "%":
            stray.append(len(out))
            out += "%"
        elif char in "/\\":
            out += "/"
            segment_is_raw = True
        elif char == ";" and segment_is_raw and out.endswith(("/.", "/..")):
            while at < len(path) and path[at] not in "/\\":
                at += 1
            continue
        elif char in '"<>^`{|}':
            out += "%" + format(ord(char), "02X")
        else:
            out += char
        at += 1
    for where in reversed(stray):
        if where + 2 < len(out) and out[where + 1] in HEX and out[where + 2] in HEX:
            out = out[:where] + "%25" + out[where + 1 :]
    stack = []
    parts = out.split("/")[1:]
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        if part == "..":
            if stack:
                stack.pop()
            if is_last:
                stack.append("")
        elif part == ".":
            if is_last:
                stack.append("")
        else:
            stack.append(part)
    merged = "/" + "/".join(stack)
    if set(merged) == {"/"} and len(merged) > 1:
        return "//"
    while "//" in merged:
        merged = merged.replace("//", "/")
    return merged


def normalize_host(host):
    if any(not "!" <= char <= "~" or char in '"#/<>?\\^`{|}' for char in host):
        raise RefusedError(400)
    host = host.lower()
    host = host.removesuffix(".")
    found = re.fullmatch(r"(.*?)\.?:([0-9]+)", host)
    return found[1] if found else host


def address(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


class View:
    """A request as conditions see it."""

    def __init__(self, mesh, request, default_host, *, is_http):
        self.identity, self.sni = request.identity, request.sni.lower() if request.sni is not None else None
        self.peer = self.client = address(request.source_ip)
        self.method = self.path = self.host = self.claims = None
        self.headers, self.query = [], []
        if is_http:
            self.read(mesh, request, default_host)

    def read(self, mesh, request, default_host):
        if request.method == "CONNECT":
            raise RefusedError(400)
        target = request.path
        for name, value in request.query:
            target += ("&" if "?" in target else "?") + name + "=" + value
        if any(not "!" <= char <= "~" or char == "#" for char in target):
            raise RefusedError(400)
        path, _, query = target.partition("?")
        self.method, self.path = request.method, normalize_path(path)
        self.query = [pair.partition("=") for pair in query.split("&")] if query else []
        self.host = normalize_host(default_host if request.host is None else request.host)
        for name, value in request.headers:
            if "_" in name or any(ord(char) < 32 and char != "\t" for char in value):
                raise RefusedError(400)
            if not name.lower().startswith("x-envoy-"):
                self.headers.append((name.lower(), value.strip(" \t")))
        forwarded = ",".join(value for name, value in self.headers if name == "x-forwarded-for").split(",")
        if mesh.trusted_hops and len(forwarded) >= mesh.trusted_hops:
            self.client = address(forwarded[-mesh.trusted_hops].strip()) or self.peer


def text_holds(test, text):
    match test:
        case ir.Equals(value=value):
            return text == value
        case ir.StartsWith(value=value):
            return text[: len(value)] == value
        case ir.EndsWith(value=value):
            return value == "" or text[-len(value) :] == value
        case ir.Matches(pattern=pattern):
            return re.fullmatch(pattern, text) is not None
        case ir.IsPresent():
            return True


def claim_holds(test, claim):
    is_list = isinstance(claim, list) and any(isinstance(one, str) for one in claim)
    if isinstance(test, ir.Contains):
        return (is_list and test.value in claim) or (isinstance(claim, str) and test.value in claim.split(" "))
    if is_list:
        return isinstance(test, ir.IsPresent)
    return isinstance(claim, str) and text_holds(test, claim)


def path_holds(pattern, path):
    """Whether a path matches, by way of a regular expression."""
    match pattern:
        case ir.ExactPath(path=wanted):
            return path == wanted
        case ir.RegexPath(pattern=regex):
            return re.fullmatch(regex, path) is not None
        case ir.TemplatePath(segments=segments, rest=rest):
            regex = "".join("/([^/]+)" if one is None else "/" + re.escape(one) for one in segments)
            return re.fullmatch(regex + ("(/.*)?" if rest else ""), path) is not None


def holds(condition, view):
    match condition:
        case ir.AllOf(conditions=parts):
            return False not in [holds(part, view) for part in parts]
        case ir.AnyOf(conditions=parts):
            return True in [holds(part, view) for part in parts]
        case ir.Not(condition=inner):
            return not holds(inner, view)
        case ir.MethodIs(methods=methods):
            return view.method in methods
        case ir.PathIs(pattern=pattern):
            return view.path is not None and path_holds(pattern, view.path)
        case ir.HostIs(test=test):
            return view.host is not None and text_holds(test, view.host)
        case ir.SniIs(test=test):
            return view.sni is not None and text_holds(test, view.sni)
        case ir.HeaderIs(name=name, test=test):
            return True in [text_holds(test, value) for key, value in view.headers if key == name]
        case ir.QueryIs(name=name, test=test):
            return [text_holds(test, value) for key, _, value in view.query if key == name][:1] == [True]
        case ir.ClaimIs(path=path, test=test):
            claim = view.claims
            for step in path:
                claim = claim.get(step) if isinstance(claim, dict) else None
            return claim_holds(test, claim)
        case ir.AddressIn(address=which, blocks=blocks):
            found = view.peer if which is ir.AddressOf.PEER else view.client
            return found is not None and any(found.version == block.version and found in block for block in blocks)


def is_one_of(principals, identity):
    for one in principals:
        match one:
            case ir.AnyPeer():
                return True
            case ir.AnyIdentity() if identity is not None:
                return True
            case ir.ExactIdentity(identity=wanted) if identity == wanted:
                return True
            case ir.IdentityPrefix(prefix=prefix) if identity is not None and identity.startswith(prefix):
                return True
    return False


def is_meant(principals, identity):
    return is_one_of(principals.include, identity) and not is_one_of(principals.exclude, identity)


def fill(target, pattern, path):
    values, rest = {}, ""
    if isinstance(pattern, ir.TemplatePath):
        parts, names = path.split("/")[1:], list(pattern.names)
        for segment, part in zip(pattern.segments, parts, strict=False):
            if segment is None:
                values[names.pop(0)] = part
        rest = "".join("/" + part for part in parts[len(pattern.segments) :]) if pattern.rest else ""
    ends_in_rest = target.endswith("/**")
    target = target[:-3] if ends_in_rest else target
    for name, value in values.items():
        target = target.replace("{" + name + "}", value)
    return (target + rest if ends_in_rest else target) or "/"


def verified(mesh, policy, identity, *, external):
    if external:
        return identity
    if policy.protocol is ir.Protocol.TLS or policy.mtls is ir.MtlsMode.OFF:
        return None
    if identity is None and policy.mtls is ir.MtlsMode.STRICT:
        raise RefusedError(None)
    if identity is not None and not any(
        identity == f"spiffe://{domain}" or identity.startswith(f"spiffe://{domain}/") for domain in mesh.trust_domains
    ):
        raise RefusedError(None)
    return identity


def accepted_claims(policy, claims):
    if not policy.jwts:
        return {}
    if claims is None:
        if any(one.required for one in policy.jwts):
            raise RefusedError(401)
        return {}
    claims = dict(claims)
    first = policy.jwts[0]
    if "iss" not in claims:
        claims["iss"] = first.issuer
    if "aud" not in claims and first.audiences:
        claims["aud"] = first.audiences[0] if len(first.audiences) == 1 else list(first.audiences)
    named = claims.get("aud") if isinstance(claims.get("aud"), list) else [claims.get("aud")]
    for one in policy.jwts:
        if one.issuer == claims["iss"] and (not one.audiences or any(name in one.audiences for name in named)):
            return claims
    raise RefusedError(401)


def find(mesh, namespace, name, number):
    for service in (*mesh.workloads, *mesh.externals):
        if (service.namespace, service.name) == (namespace, name):
            for policy in service.ports:
                if policy.number == number:
                    return policy, isinstance(service, ir.External)
    return None


def ask(mesh, where, view, claims):
    """Raise RefusedError unless one destination lets the request in."""
    policy, external = find(mesh, where.namespace, where.service, where.port)
    known, raw = verified(mesh, policy, view.identity, external=external), view.identity
    is_http = policy.protocol.is_http
    view.claims = accepted_claims(policy, claims) if is_http else None
    view.identity = known
    try:
        for stage in policy.access:
            matched = [is_meant(rule.principals, known) and holds(rule.condition, view) for rule in stage.rules]
            if not stage.shadow and (True in matched) == (stage.effect is ir.Effect.DENY):
                raise RefusedError(403 if is_http else None)
    finally:
        view.identity, view.claims = raw, None


def naive_decide(mesh: ir.Mesh, request: Request) -> tuple[bool | None, int | None, str | None]:
    """Access (None: the caller's proxy answers), status, and redirect target."""
    policy, external = find(mesh, request.namespace, request.service, request.port)
    name = "api.test" if external else f"{request.service}.{request.namespace}"
    try:
        view = View(mesh, request, name, is_http=policy.protocol.is_http)
    except RefusedError as refused:
        try:
            verified(mesh, policy, request.identity, external=external)
        except RefusedError:
            return False, None, None
        return False, refused.status, None
    route = None
    for one in policy.routes:
        method = not one.methods or view.method in one.methods
        path = one.path == ir.ANY_PATH or (view.path is not None and path_holds(one.path, view.path))
        caller = one.callers is None or is_meant(one.callers, view.identity)
        if method and path and caller and holds(one.condition, view):
            route = one
            break
    settings = route.settings if route else policy.settings
    for abort in settings.aborts:
        if abort.percent >= 100 and holds(abort.condition, view):
            return None, abort.status, None
    if route and isinstance(route.action, ir.Redirect):
        return None, route.action.status, fill(route.action.target, route.path, view.path)
    if route and isinstance(route.action, ir.Respond):
        return None, route.action.status, None
    wheres = [ir.Destination(namespace=request.namespace, service=request.service, port=request.port)]
    try:
        if route:
            wheres = [one for one in route.action.destinations if one.weight > 0]
            leave(view, route)
        for where in wheres:
            ask(mesh, where, view, request.claims)
    except RefusedError as refused:
        return False, refused.status, None
    return True, None, None


def leave(view, route):
    """Change the view as the caller's proxy changes the request."""
    settings = route.settings
    if settings.rewrite_path is not None:
        view.path = normalize_path(fill(settings.rewrite_path, route.path, view.path))
    if settings.rewrite_host is not None:
        view.host = settings.rewrite_host
    for change in settings.header_changes:
        if change.direction == "request":
            if change.operation != "add":
                view.headers = [pair for pair in view.headers if pair[0] != change.name]
            if change.operation != "remove":
                view.headers.append((change.name, change.value))
