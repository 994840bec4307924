"""The registry of diagnostics: every name with its severity, the stage that reports it, and the version it came with.

Names are part of the contract with users (they silence warnings by them) and are never reused. Each has a page in
`docs/diagnostics/`, which `meshc docs NAME` shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from meshc.diagnostics.model import Diagnostic, Label, Severity
from meshc.source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosticRule:
    """One row: `summary` says in one line what the finding means."""

    severity: Severity
    stage: str
    since: str
    summary: str


def _error(stage: str, summary: str, since: str = "0.1") -> DiagnosticRule:
    return DiagnosticRule(severity=Severity.ERROR, stage=stage, since=since, summary=summary)


def _warning(stage: str, summary: str, since: str = "0.1") -> DiagnosticRule:
    return DiagnosticRule(severity=Severity.WARNING, stage=stage, since=since, summary=summary)


RULES: Final[Mapping[str, DiagnosticRule]] = {
    "syntax-error": _error("parse", "the text is not in the grammar at this place"),
    "unclosed-block": _error("parse", "a `{` is never closed"),
    "invisible-character": _error("parse", "an invisible or bidirectional format character stands in a file"),
    "invalid-encoding": _error("parse", "a file is not UTF-8"),
    "nesting-too-deep": _error("parse", "conditions or blocks are nested deeper than 64 levels"),
    "merge-marker": _error("parse", "a leftover merge marker stands in a file"),
    "format-unsafe": _error("format", "the formatter's result would not mean the same as the file"),
    "unreadable-file": _error("load", "a file cannot be read"),
    "import-not-found": _error("load", "an imported file does not exist"),
    "import-outside-root": _error("load", "an import leaves the project's root"),
    "invalid-config": _error("load", "`meshc.yaml` is not YAML, or says something that meshc does not know"),
    "inventory-empty": _warning("load", "an inventory pattern matches no file"),
    "inventory-invalid": _error("load", "a Kubernetes manifest cannot be understood"),
    "inventory-conflict": _warning("load", "two manifests say different things of one service"),
    "inventory-omitted": _warning("load", "a program cannot speak of a part of a manifest, which is left out"),
    "inventory-incomplete": _warning("load", "the manifests do not say enough about a service"),
    "configuration-invalid": _error("read", "a file of a mesh's configuration cannot be read"),
    "not-verified": _error("verify", "what was compiled does not read back as what the program says"),
    "unknown-service": _error("resolve", "a name is no service of the program"),
    "unknown-namespace": _error("resolve", "a name is no namespace of the program"),
    "unknown-port": _error("resolve", "a service has no such port"),
    "unknown-version": _error("resolve", "a service has no such version"),
    "unknown-group": _error("resolve", "a name is no group of the program"),
    "unknown-profile": _error("resolve", "a name is no profile of the program"),
    "unknown-variable": _error("resolve", "a `$name` is neither a let nor a parameter"),
    "unknown-alias": _error("resolve", "no import has this alias"),
    "unknown-word": _error("check", "a word is not one of those that may stand here"),
    "unknown-setting": _error("check", "a settings block has no such option"),
    "ambiguous-name": _error("resolve", "an unqualified name fits several services"),
    "duplicate-declaration": _error("resolve", "two declarations have the same name"),
    "duplicate-setting": _error("check", "one scope gives two different values for one setting"),
    "cyclic-definition": _error("resolve", "lets, groups or profiles refer to each other in a circle"),
    "misplaced-declaration": _error("resolve", "a declaration may not stand here"),
    "misplaced-setting": _error("check", "a setting may not stand here"),
    "missing-port": _error("check", "a service with several ports is named without one"),
    "missing-setting": _error("check", "something that a declaration cannot do without is missing"),
    "type-mismatch": _error("check", "a literal has the wrong type or unit"),
    "value-out-of-range": _error("check", "a value lies outside what is possible"),
    "invalid-path": _error("check", "a path pattern can match no normalized path, or is malformed"),
    "invalid-regex": _error("check", "a regular expression is not RE2 syntax"),
    "regex-too-large": _error("check", "a regular expression compiles to a larger program than proxies accept"),
    "invalid-address": _error("check", "an address or CIDR block is malformed"),
    "invalid-identity": _error("check", "an identity is not a SPIFFE id"),
    "foreign-trust-domain": _error("check", "an identity belongs to a trust domain that the mesh does not know"),
    "invalid-host": _error("check", "a host name is malformed"),
    "invalid-header": _error("check", "a header name or value is malformed, or not for rules to read"),
    "invalid-query-literal": _error("check", "a literal could be spelled in more than one way in a query"),
    "invalid-method": _error("check", "a method can never reach a service"),
    "invalid-endpoint": _error("check", "an endpoint is not `host:port`"),
    "external-source": _error("check", "an external is named as a source"),
    "shared-identity": _error("check", "a source shares its service account with a service that is not meant"),
    "protocol-mismatch": _error("check", "a construct does not fit the protocol of its port"),
    "claims-without-jwt": _error("check", "a rule reads claims where no `jwt` is configured"),
    "remote-ip-untrusted": _error("check", "`remote ip` is used where `trusted-hops` is 0"),
    "expired-rule": _error("check", "a rule's `until` day has passed"),
    "split-not-100": _error("check", "the shares of a split do not add up to 100 %"),
    "ambiguous-route": _error("check", "two routes match one request, and neither is more specific"),
    "dead-route": _warning("check", "no request ever takes a route"),
    "timeout-order": _error("check", "a per-try timeout or backoff is longer than the timeout"),
    "profile-arguments": _error("check", "a profile's arguments do not fit its parameters"),
    "unsupported-by-target": _error("target", "a target cannot express a feature of the program"),
    "target-differs": _warning("target", "a target expresses a feature with a difference"),
    "invariant-broken": _error("prove", "some request breaks an invariant"),
    "invariant-undecided": _error("prove", "an invariant is too complex to be proven"),
    "unused-declaration": _warning("check", "nothing uses a declaration"),
    "evadable-identity-deny": _warning("check", "a deny by identity where mTLS is permissive"),
    "evadable-path-deny": _warning("check", "a deny by path where no allow-list closes the port"),
    "excluding-allow": _warning("check", "an allow whose condition only excludes"),
    "covered-rule": _warning("check", "a rule matches nobody, or another rule says as much"),
    "over-broad-allow": _warning("check", "an allow lets everybody in, and tests expect it of few"),
    "denied-allow": _warning("check", "an allow is fully covered by a deny"),
    "retry-not-idempotent": _warning("check", "POST or PATCH requests are retried without `unsafe`"),
    "unreachable-service": _warning("check", "nobody may call a service"),
    "powerless-source": _warning("check", "no rule lets a caller call anything"),
    "empty-version": _warning("check", "a version has no endpoints, and others of its service have"),
    "blind-failover": _warning("check", "a failover that nothing ever starts"),
    "denied-health-check": _warning("check", "a caller's health check is refused"),
    "secret-literal": _warning("check", "a literal looks like a secret"),
    "unused-suppression": _warning("check", "a `# meshc: allow(...)` comment silences nothing"),
}


def diagnose(
    name: str,
    span: Span,
    message: str,
    *,
    label: str = "",
    labels: tuple[Label, ...] = (),
    advice: str | tuple[str, ...] = (),
) -> Diagnostic:
    """Make a diagnostic; its severity comes from the registry, its help is `advice`. Raises KeyError for a name that is not registered."""
    lines = (advice,) if isinstance(advice, str) else advice
    return Diagnostic(
        name=name,
        severity=RULES[name].severity,
        message=message,
        span=span,
        label=label,
        labels=labels,
        help=tuple(line for line in lines if line),
    )
