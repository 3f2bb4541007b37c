"""The opening handshake as text: every refusal, identities, negotiation, and bytes of all kinds."""

import base64
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.net.peers import KEY, PREFERENCE, upgrade

from forecourt.net.connection import Peer
from forecourt.net.handshake import (
    Headers,
    HeadReader,
    NoSubprotocol,
    Refusal,
    UpgradeRequest,
    basic_authorization,
    connection_url,
    negotiate,
    parse_request,
)


def parse(request: bytes, *, assumed: str | None = None) -> UpgradeRequest | Refusal | NoSubprotocol:
    head, _, _ = request.partition(b"\r\n\r\n")
    return parse_request(head, subprotocols=PREFERENCE, assumed_subprotocol=assumed, peer=Peer("::1", 9), tls=None)


def accepted(request: bytes) -> UpgradeRequest:
    outcome = parse(request)
    assert isinstance(outcome, UpgradeRequest), outcome
    return outcome


def refused(request: bytes) -> Refusal:
    outcome = parse(request)
    assert isinstance(outcome, Refusal), outcome
    return outcome


def test_the_example_of_the_specification() -> None:
    # OCPP-J 1.6 §3.1.3
    request = accepted(upgrade("/webServices/ocpp/CP3211", sec_websocket_protocol="ocpp1.6, ocpp1.5"))
    assert request.identity == "CP3211"
    assert request.prefix == "/webServices/ocpp"
    assert request.path == "/webServices/ocpp/CP3211"
    assert request.offered == ("ocpp1.6", "ocpp1.5")
    assert request.subprotocol == "ocpp1.6"
    assert request.key == KEY
    assert str(request.peer) == "[::1]:9"


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("/ocpp/RDAM%20123", "RDAM 123"),
        ("/ocpp/RDAM%7C123", "RDAM|123"),
        ("/ocpp/a%2Fb", "a/b"),
        ("/ocpp/a%2fb%3Fc%23d", "a/b?c#d"),
        ("/ocpp/M%C3%BCnchen-%E5%85%85%E9%9B%BB", "München-充電"),
        ("/ocpp/a+b", "a+b"),
        ("/ocpp/100%25", "100%"),
        ("/ocpp/%2525", "%25"),
        ("/CP1", "CP1"),
        ("/ocpp/CP1?token=a/b", "CP1"),
        ("http://csms.example/ocpp/CP1", "CP1"),
    ],
)
def test_identity_is_the_last_segment_percent_decoded(path: str, identity: str) -> None:
    assert accepted(upgrade(path)).identity == identity


def test_query_is_not_part_of_the_path() -> None:
    request = accepted(upgrade("/ocpp/CP1?token=a/b"))
    assert (request.path, request.query) == ("/ocpp/CP1", "token=a/b")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/ocpp/", 404),
        ("http://csms.example", 404),
        ("/ocpp/%ff", 400),
        ("/ocpp/%zz", 400),
        ("/ocpp/abc%2", 400),
        ("/ocpp/a%00b", 400),
        ("/ocpp/a%0d%0aFake:%20log", 400),
        ("/ocpp/a%E2%80%AEb", 400),  # turns the text around in a log
        ("/ocpp/CP1#x", 400),
        ("/ocpp/CP\x7f", 400),
        ("*", 400),
        ("ocpp/CP1", 400),
        ("ftp://csms.example/CP1", 400),
    ],
)
def test_bad_paths(path: str, status: int) -> None:
    assert refused(upgrade(path)).status == status


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=48))
def test_every_printable_identity_survives_the_url(identity: str) -> None:
    url = connection_url("ws://csms.example:9000/ocpp/", identity)
    assert urlsplit(url).path == f"/ocpp/{quote(identity, safe='')}"
    assert accepted(upgrade(urlsplit(url).path)).identity == identity


def test_connection_url_examples() -> None:
    # OCPP-J 1.6 §3.1.1, OCPP 2.1 Part 4 §3.1.1
    assert connection_url("ws://c.example.com/ocpp", "CP001") == "ws://c.example.com/ocpp/CP001"
    assert connection_url("wss://c.example.com/ocppj", "RDAM 123") == "wss://c.example.com/ocppj/RDAM%20123"
    assert connection_url("wss://c.example.com/ocppj", "RDAM|123") == "wss://c.example.com/ocppj/RDAM%7C123"
    assert connection_url("ws://c.example.com", "a/b") == "ws://c.example.com/a%2Fb"
    assert connection_url("ws://c.example.com/o?k=v", "CP1") == "ws://c.example.com/o/CP1?k=v"


@pytest.mark.parametrize(("endpoint", "identity"), [("http://x/y", "CP1"), ("ws:///y", "CP1"), ("ws://x/y", "")])
def test_connection_url_refuses(endpoint: str, identity: str) -> None:
    with pytest.raises(ValueError):
        connection_url(endpoint, identity)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (upgrade(upgrade=""), 426),
        (upgrade(without="upgrade"), 426),
        (upgrade(upgrade="h2c"), 426),
        (upgrade(without="connection"), 400),
        (upgrade(connection="keep-alive"), 400),
        (upgrade(without="sec-websocket-version"), 426),
        (upgrade(sec_websocket_version="8"), 426),
        (upgrade(sec_websocket_version="14"), 426),
        (upgrade(without="sec-websocket-key"), 400),
        (upgrade(sec_websocket_key="c2hvcnQ="), 400),
        (upgrade(sec_websocket_key="x3JJHMbDL1EzLkh9GBhXDw"), 400),
        (upgrade(sec_websocket_key="é"), 400),
        (upgrade(without="host"), 400),
        (upgrade(content_length="5"), 400),
        (upgrade(transfer_encoding="chunked"), 400),
        (upgrade().replace(b"GET", b"POST"), 405),
        (upgrade().replace(b"GET", b"get"), 405),
        (upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"), 505),
        (b"PRI * HTTP/2.0\r\n\r\n", 505),
        (upgrade().replace(b"HTTP/1.1", b"HTTP/11"), 400),
        (upgrade().replace(b"GET ", b"GET"), 400),
        (upgrade().replace(b"GET ", b"GET  "), 400),
        (upgrade().replace(b"host:", b"host :"), 400),
        (upgrade().replace(b"host:", b" host:"), 400),
        (upgrade().replace(b"host: localhost", b"host"), 400),
        (upgrade().replace(b"localhost", b"local\nhost"), 400),
        (upgrade().replace(b"localhost", b"local\0host"), 400),
        (upgrade().replace(b"host: localhost", b"host: a\r\nhost: b"), 400),
        (upgrade().replace(b"host: localhost", b"host: a\r\n" + b"x: y\r\n" * 70), 431),
    ],
)
def test_refusals(request_bytes: bytes, status: int) -> None:
    assert refused(request_bytes).status == status


def test_headers_as_browsers_and_proxies_write_them() -> None:
    request = accepted(upgrade(connection="keep-alive, Upgrade", upgrade="WebSocket", content_length="0"))
    assert request.headers.get("CONNECTION") == "keep-alive, Upgrade"


def test_another_version_is_told_which_one_we_speak() -> None:
    # RFC 6455 §4.4
    assert ("Sec-WebSocket-Version", "13") in refused(upgrade(sec_websocket_version="12")).headers


def test_405_says_what_is_allowed() -> None:
    assert ("Allow", "GET") in refused(upgrade().replace(b"GET", b"PUT")).headers


def test_the_servers_preference_decides() -> None:
    assert accepted(upgrade(sec_websocket_protocol="ocpp1.6, ocpp2.0.1")).subprotocol == "ocpp2.0.1"
    assert negotiate(["b", "a"], ["a", "b"]) == "a"
    assert negotiate(["c"], ["a", "b"]) is None
    assert negotiate([], ["a"]) is None


def test_offers_may_be_spread_over_fields() -> None:
    request = upgrade().replace(b"host: ", b"Sec-WebSocket-Protocol: x,,ocpp2.1 \r\nhost: ")
    assert accepted(request).offered == ("x", "ocpp2.1", "ocpp1.6")


def test_no_common_subprotocol() -> None:
    assert parse(upgrade("/ocpp/CP1", sec_websocket_protocol="ocpp1.5")) == NoSubprotocol("CP1", ("ocpp1.5",), KEY)
    assert parse(upgrade(without="sec-websocket-protocol")) == NoSubprotocol("CP1", (), KEY)


def test_a_subprotocol_is_assumed_only_of_who_offers_none() -> None:
    silent = parse(upgrade(without="sec-websocket-protocol"), assumed="ocpp1.6")
    assert isinstance(silent, UpgradeRequest)
    assert silent.subprotocol == "ocpp1.6"
    assert isinstance(parse(upgrade(sec_websocket_protocol="ocpp1.5"), assumed="ocpp1.6"), NoSubprotocol)


@pytest.mark.parametrize(
    ("user", "password", "octets"),
    [
        ("CP1", "secret", b"secret"),
        ("CP1", b"\x00:\xff", b"\x00:\xff"),
        ("Mü", "pä:ss", "pä:ss".encode()),
        ("CP1", "", b""),
    ],
)
def test_basic_credentials(user: str, password: str | bytes, octets: bytes) -> None:
    request = accepted(upgrade(authorization=basic_authorization(user, password)))
    assert request.basic_credentials() == (user, octets)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic",
        "Basic !!!",
        "Bearer abc",
        "Basic " + base64.b64encode(b"nocolon").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
    ],
)
def test_malformed_credentials_are_none(value: str) -> None:
    assert accepted(upgrade(authorization=value)).basic_credentials() is None


def test_secrets_are_not_in_the_representation() -> None:
    assert "c2VjcmV0" not in repr(accepted(upgrade(authorization="Basic c2VjcmV0")))


def test_head_may_come_byte_by_byte() -> None:
    reader = HeadReader(1000)
    request = upgrade() + b"early"
    outcomes = [reader.feed(request[i : i + 1]) for i in range(len(upgrade()))]
    assert outcomes[:-1] == [None] * (len(upgrade()) - 1)
    assert outcomes[-1] == (upgrade()[:-4], b"")


def test_what_follows_the_head_is_kept() -> None:
    assert HeadReader(1000).feed(upgrade() + b"early") == (upgrade()[:-4], b"early")


def test_head_is_bounded() -> None:
    def status(*chunks: bytes) -> int:
        reader = HeadReader(200)
        outcome = None
        for chunk in chunks:
            outcome = reader.feed(chunk)
        assert isinstance(outcome, Refusal)
        return outcome.status

    assert status(b"GET /" + b"a" * 300) == 414
    assert status(*[b"GET /" + b"a" * 40] * 5) == 414
    assert status(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 60) == 431
    assert status(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 60 + b"\r\n") == 431


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01", b"\x00", b"\r\n", b"{", b"\xff\xff"])
def test_what_is_no_http_is_seen_at_the_first_byte(garbage: bytes) -> None:
    outcome = HeadReader(8192).feed(garbage)
    assert isinstance(outcome, Refusal)
    assert outcome.status == 400


def test_refusal_on_the_wire() -> None:
    lines = Refusal.unauthorized().encode().decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 401 Unauthorized"
    assert 'WWW-Authenticate: Basic realm="ocpp", charset="UTF-8"' in lines
    assert "Connection: close" in lines
    assert Refusal.later(7).encode().startswith(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n")
    assert Refusal.unknown().status == 404
    assert Refusal(499).encode().startswith(b"HTTP/1.1 499 \r\n")


def test_headers_join_and_keep_their_order() -> None:
    headers = Headers([("A", "1"), ("b", "2"), ("a", "3")])
    assert headers.get("a") == "1, 3"
    assert headers.get_all("A") == ["1", "3"]
    assert headers.get("c") is None
    assert list(headers) == [("a", "1"), ("b", "2"), ("a", "3")]
    assert len(headers) == 3


@given(st.binary(max_size=300))
def test_any_bytes_are_a_request_or_a_refusal(garbage: bytes) -> None:
    assert isinstance(parse(garbage), UpgradeRequest | Refusal | NoSubprotocol)


@given(st.data())
def test_a_damaged_request_is_a_request_or_a_refusal(data: st.DataObject) -> None:
    request = bytearray(upgrade("/ocpp/M%C3%BCnchen", authorization="Basic QTpC"))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(request) - 1))
        request[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    outcome = parse(bytes(request))
    if isinstance(outcome, UpgradeRequest):
        assert outcome.identity.isprintable()
        outcome.basic_credentials()
    else:
        assert isinstance(outcome, Refusal | NoSubprotocol)
