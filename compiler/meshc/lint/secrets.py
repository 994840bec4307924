"""Secrets in source: literals that look like keys and tokens, which end up in repositories and configuration."""

import re
from collections.abc import Iterator

from meshc import ast
from meshc.ast.walk import nodes
from meshc.diagnostics import Diagnostic, diagnose
from meshc.lower.program import Lowered

_SECRETS = (
    (re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), "a JSON Web Token"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "an AWS access key"),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{30,}\b"), "a GitHub token"),
    (re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}\b"), "a Slack token"),
    (re.compile(r"\bsk_live_[A-Za-z0-9]{16,}\b"), "a Stripe key"),
    (re.compile(r"(?i)^(?:bearer|basic)\s+[A-Za-z0-9+/=._-]{16,}$"), "credentials"),
    (re.compile(r'"d"\s*:\s*"[A-Za-z0-9_-]{20,}"'), "a private JSON Web Key"),
)


def secret_literal(lowered: Lowered) -> Iterator[Diagnostic]:
    """Strings that look like secrets, in tests too."""
    for module in lowered.context.symbols.modules.values():
        for string in nodes(module.file.declarations):
            if isinstance(string, ast.String) and (what := _looks_like(string.value)):
                yield diagnose(
                    "secret-literal",
                    string.span,
                    f"this looks like {what}",
                    advice="compiled files are no place for secrets: test what a token says with `claim` instead",
                )


def _looks_like(text: str) -> str | None:
    return next((what for pattern, what in _SECRETS if pattern.search(text)), None)
