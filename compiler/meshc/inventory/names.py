"""Names of Kubernetes, and those of them that a program can say."""

import re
from typing import Final

LONGEST: Final = 63

_NAME = re.compile(r"(?:[0-9][0-9-]*)?[a-z](?:[a-z0-9-]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*")


def is_name(text: str) -> bool:
    """Whether it is a DNS label that the language takes for a name: not one of digits and hyphens alone."""
    return len(text) <= LONGEST and bool(_NAME.fullmatch(text))


def is_account(text: str) -> bool:
    """Whether Kubernetes takes it for a name, such as that of a service account: DNS labels, with points between."""
    return len(text) <= 253 and bool(_SUBDOMAIN.fullmatch(text))
