"""TLS in memory: real handshakes between two codecs, and every certificate that must not pass."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from meshc.engine.authority import Authority, Names, Validity
from meshc_proxy.wire.limits import TlsLimits
from meshc_proxy.wire.spiffe import SpiffeId
from meshc_proxy.wire.tls import (
    Broken,
    Established,
    PeerEnd,
    PeerMode,
    Plaintext,
    Tls,
    TlsEvent,
    client_context,
    server_context,
)
from meshc_proxy.wire.trust import PeerFault, Trust
from tls_authorities import CART, HERE, NOW, PAY, STRANGER, THERE, TRUST


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


def loaded(
    context: ssl.SSLContext, folder: Path, authority: Authority, names: Names, validity: Validity | None = None
) -> ssl.SSLContext:
    credentials = authority.issue(names, folder, "one", validity)
    context.load_cert_chain(credentials.chain, credentials.key)
    return context


def server(
    folder: Path, mode: PeerMode = PeerMode.REQUIRED, *, trust: Trust = TRUST, limits: TlsLimits | None = None
) -> Tls:
    context = loaded(server_context(trust, mode), folder, HERE, Names(uris=(PAY,)))
    return Tls(context, server=True, trust=trust, at=datetime.now(UTC), now=0.0, limits=limits)


def client(
    folder: Path, authority: Authority = HERE, names: Names | None = None, validity: Validity | None = None
) -> Tls:
    names = names or Names(uris=(CART,))
    context = loaded(client_context(TRUST), folder, authority, names, validity)
    return Tls(context, server=False, trust=TRUST, at=datetime.now(UTC), now=0.0, server_name="pay.shop")


def shake(one: Tls, other: Tls, *, bytewise: bool = False) -> tuple[list[TlsEvent], list[TlsEvent]]:
    """Pass records to and fro until both are silent."""
    seen: tuple[list[TlsEvent], list[TlsEvent]] = ([], [])
    for _ in range(10):
        for source, target, events in ((one, other, seen[1]), (other, one, seen[0])):
            data = source.output()
            step = 1 if bytewise else max(len(data), 1)
            for start in range(0, len(data), step):
                events.extend(target.receive(data[start : start + step]))
    return seen


@pytest.mark.parametrize("bytewise", [False, True])
def test_both_sides_know_each_other(folder: Path, bytewise: bool) -> None:  # noqa: FBT001
    one, other = client(folder), server(folder)
    ours, theirs = shake(one, other, bytewise=bytewise)
    assert ours == [Established(protocol="h2", peer=SpiffeId.parse(PAY), version="TLSv1.3")]
    assert theirs == [Established(protocol="h2", peer=SpiffeId.parse(CART), version="TLSv1.3")]
    assert other.receive(one.send(b"hello")) == (Plaintext(data=b"hello"),)
    assert one.deadline(100.0) is None


def test_one_direction_ends_and_the_other_goes_on(folder: Path) -> None:
    one, other = client(folder), server(folder)
    shake(one, other)
    assert other.receive(one.close()) == (PeerEnd(),)
    with pytest.raises(ValueError, match="no plaintext"):
        one.send(b"x")
    for _ in range(3):
        assert one.receive(other.send(b"still here")) == (Plaintext(data=b"still here"),)
    assert not one.done
    assert one.receive(other.close()) == (PeerEnd(),)
    assert one.done
    assert other.done
    assert one.receive_eof() == other.receive_eof() == ()


def test_data_on_the_way_survives_our_close(folder: Path) -> None:
    one, other = client(folder), server(folder)
    shake(one, other)
    crossing = other.send(b"crossing")
    one.close()
    assert one.receive(crossing + other.close()) == (Plaintext(data=b"crossing"), PeerEnd())


def test_an_end_without_close_notify_is_a_truncation(folder: Path) -> None:
    one, other = client(folder), server(folder)
    shake(one, other)
    assert one.receive_eof() == (Broken(fault=PeerFault.TRUNCATED),)
    assert one.send(b"x") == b""


def test_a_changed_record_breaks_the_connection(folder: Path) -> None:
    one, other = client(folder), server(folder)
    shake(one, other)
    record = bytearray(one.send(b"hello"))
    record[-1] ^= 1
    assert other.receive(bytes(record)) == (Broken(fault=PeerFault.RECORD),)
    assert other.receive(one.send(b"more")) == ()


def test_without_certificate_only_where_it_is_allowed(folder: Path) -> None:
    nobody = client_context(TRUST)
    for mode, expected in (
        (PeerMode.OPTIONAL, Established(protocol="h2", peer=None, version="TLSv1.3")),
        (PeerMode.NONE, Established(protocol="h2", peer=None, version="TLSv1.3")),
        (PeerMode.REQUIRED, Broken(fault=PeerFault.HANDSHAKE)),
    ):
        one = Tls(nobody, server=False, trust=TRUST, at=datetime.now(UTC), now=0.0)
        _, theirs = shake(one, server(folder, mode))
        assert theirs == [expected]


@pytest.mark.parametrize("mode", [PeerMode.REQUIRED, PeerMode.OPTIONAL])
@pytest.mark.parametrize(
    ("authority", "names", "validity", "fault"),
    [
        (STRANGER, Names(uris=(CART,)), None, PeerFault.UNTRUSTED),
        (THERE, Names(uris=(CART,)), None, PeerFault.UNTRUSTED),
        (HERE, Names(uris=("spiffe://there/ns/a/sa/b",)), None, PeerFault.UNTRUSTED),
        (HERE, Names(uris=("spiffe://here.evil/ns/a/sa/b",)), None, PeerFault.TRUST_DOMAIN),
        (HERE, Names(uris=(CART, PAY)), None, PeerFault.IDENTITY),
        (HERE, Names(uris=(CART, CART)), None, PeerFault.IDENTITY),
        (HERE, Names(), None, PeerFault.IDENTITY),
        (HERE, Names(dns=("cart.shop",)), None, PeerFault.IDENTITY),
        (HERE, Names(uris=("spiffe://Here/ns/a/sa/b",)), None, PeerFault.IDENTITY),
        (HERE, Names(uris=("spiffe://here/ns/a/sa/b\0.evil",)), None, PeerFault.IDENTITY),
        (HERE, Names(uris=("spiffe://here",)), None, PeerFault.IDENTITY),
        (HERE, Names(uris=(CART,)), Validity.expired(), PeerFault.EXPIRED),
        (
            HERE,
            Names(uris=(CART,)),
            Validity(start=NOW + timedelta(hours=1), end=NOW + timedelta(hours=2)),
            PeerFault.NOT_YET_VALID,
        ),
    ],
)
def test_what_is_wrong_with_a_client(  # noqa: PLR0917
    folder: Path, mode: PeerMode, authority: Authority, names: Names, validity: Validity | None, fault: PeerFault
) -> None:
    one, other = client(folder, authority, names, validity), server(folder, mode)
    _, theirs = shake(one, other)
    assert theirs == [Broken(fault=fault)]
    assert other.done
    assert other.send(b"secret") == b""


def test_a_server_is_held_to_the_same(folder: Path) -> None:
    context = loaded(server_context(TRUST, PeerMode.REQUIRED), folder, THERE, Names(uris=(PAY,)))
    one, other = client(folder), Tls(context, server=True, trust=TRUST, at=datetime.now(UTC), now=0.0)
    ours, _ = shake(one, other)
    assert ours == [Broken(fault=PeerFault.UNTRUSTED)]


def test_a_federated_identity_passes(folder: Path) -> None:
    identity = "spiffe://there/ns/a/sa/b"
    _, theirs = shake(client(folder, THERE, Names(uris=(identity,))), server(folder))
    assert theirs == [Established(protocol="h2", peer=SpiffeId.parse(identity), version="TLSv1.3")]


def test_a_root_that_is_gone_is_refused_by_new_contexts(folder: Path) -> None:
    only_here = Trust.from_pem({"here": HERE.bundle})
    other = server(folder, trust=only_here)
    _, theirs = shake(client(folder, THERE, Names(uris=("spiffe://there/a",))), other)
    assert theirs == [Broken(fault=PeerFault.UNTRUSTED)]


def test_no_session_is_resumed(folder: Path) -> None:
    context = loaded(client_context(TRUST), folder, HERE, Names(uris=(CART,)))
    one, other = Tls(context, server=False, trust=TRUST, at=datetime.now(UTC), now=0.0), server(folder)
    shake(one, other)
    assert one.receive(other.send(b"x")) == (Plaintext(data=b"x"),)
    assert context.session_stats()["hits"] == 0


def test_the_handshake_has_a_deadline(folder: Path) -> None:
    other = server(folder)
    assert other.deadline(4.0) == 1.0
    assert other.expire(4.9) == ()
    assert other.expire(5.0) == (Broken(fault=PeerFault.TIMEOUT),)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"\x80\x2e\x01\x03\x01" + bytes(60),
        bytes(100),
    ],
)
def test_what_is_no_handshake_is_refused(folder: Path, data: bytes) -> None:
    assert server(folder).receive(data) == (Broken(fault=PeerFault.HANDSHAKE),)


def test_a_partial_handshake_that_ends_is_refused(folder: Path) -> None:
    other = server(folder)
    assert other.receive(client(folder).output()[:50]) == ()
    assert other.receive_eof() == (Broken(fault=PeerFault.HANDSHAKE),)


def test_a_handshake_has_a_size(folder: Path) -> None:
    other = server(folder, limits=TlsLimits(handshake_bytes=100))
    assert other.receive(client(folder).output())[-1] == Broken(fault=PeerFault.HANDSHAKE)


def test_no_common_protocol_is_seen(folder: Path) -> None:
    context = loaded(client_context(TRUST, protocols=("spdy/1",)), folder, HERE, Names(uris=(CART,)))
    _, theirs = shake(Tls(context, server=False, trust=TRUST, at=datetime.now(UTC), now=0.0), server(folder))
    assert theirs == [Established(protocol="", peer=SpiffeId.parse(CART), version="TLSv1.3")]


def test_tls_1_1_is_refused(folder: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLS"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    assert server(folder).receive(outgoing.read() or b"\x16\x03\x02\x00\x01\0") == (Broken(fault=PeerFault.HANDSHAKE),)


def test_a_client_without_trust_must_verify_a_name() -> None:
    with pytest.raises(ValueError, match="name"):
        Tls(client_context(TRUST), server=False, trust=None, at=datetime.now(UTC), now=0.0)


def test_two_domains_do_not_share_an_authority() -> None:
    with pytest.raises(ValueError, match="share"):
        Trust.from_pem({"here": HERE.bundle, "there": HERE.bundle + THERE.bundle})
