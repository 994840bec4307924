"""Throw-away authorities of two trust domains, and one that nobody trusts."""

from datetime import UTC, datetime

from meshc.engine.authority import Authority
from meshc_proxy.wire.trust import Trust

NOW = datetime.now(UTC)
HERE, THERE, STRANGER = Authority.create("here"), Authority.create("there"), Authority.create("here")
TRUST = Trust.from_pem({"here": HERE.bundle, "there": THERE.bundle})
CART = "spiffe://here/ns/shop/sa/cart"
PAY = "spiffe://here/ns/shop/sa/pay"
