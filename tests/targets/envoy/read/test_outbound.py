"""What a caller's listener asks before all routes: it is never passed over."""

from typing import Final

import pytest

from envoy_by_hand import TYPES, WEB, read_shop, server_of_shop
from meshc.reading import Aspect

_SERVERS: Final = (server_of_shop("cart", 8080), server_of_shop("cart-canary", 8080))
_TYPED: Final = f'typed_config: {{"@type": {TYPES}.filters'
_ALWAYS: Final = "{default_value: {numerator: 100, denominator: HUNDRED}}"
_DENIED: Final = "{action: DENY, policies: {all: {permissions: [{any: true}], principals: [{any: true}]}}}"
_TOKEN: Final = (
    "{login: {issuer: i, require_expiration: true, local_jwks: {inline_string: '{}'}, from_headers: [{name: a}]}}"
)


@pytest.mark.parametrize(
    ("written", "more", "message", "aspects"),
    [
        (
            "    - filters:\n",
            f"      - {{name: r, {_TYPED}.network.rbac.v3.RBAC, stat_prefix: x, rules: {_DENIED}}}}}\n",
            "what is asked of connections before their requests is not understood",
            set(Aspect),
        ),
        (
            "          http_filters:\n",
            (
                f"          - {{name: j, {_TYPED}.http.jwt_authn.v3.JwtAuthentication, providers: {_TOKEN},"
                " rules: [{match: {prefix: /}, requires: {provider_name: login}}]}}\n"
            ),
            "rules for all that an application sends are not understood",
            set(Aspect),
        ),
        (
            "          http_filters:\n",
            (
                f"          - {{name: l, {_TYPED}.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: x,"
                " token_bucket: {max_tokens: 1, fill_interval: 60s},"
                f" filter_enabled: {_ALWAYS}, filter_enforced: {_ALWAYS}}}}}\n"
            ),
            "limits of all that an application sends are not understood",
            {Aspect.ROUTING, Aspect.SETTINGS},
        ),
        (
            "          stat_prefix: egress\n",
            "          strip_any_host_port: true\n",
            "virtual hosts that are found without the port of a host are not understood",
            set(Aspect),
        ),
        (
            "          stat_prefix: egress\n",
            "          common_http_protocol_options: {max_stream_duration: 1s}\n",
            "the field `max_stream_duration` is not understood",
            {Aspect.SETTINGS},
        ),
    ],
)
def test_what_stands_before_all_calls_is_not_passed_over(
    written: str, more: str, message: str, aspects: set[Aspect]
) -> None:
    assert read_shop(WEB, *_SERVERS).unknown == ()
    text = WEB.replace(written, written + more, 1)
    assert text != WEB
    found = [one for one in read_shop(text, *_SERVERS).unknown if one.message == message]
    assert [(one.aspects, one.ports) for one in found] == [(aspects, None)]
