"""The guard, by attack, over real sockets."""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import processes
from tests.gateway.door import MODULE, TOKEN, Answer, Door, answer, opened
from tests.processes import ended, started

BEARER = f"Bearer {TOKEN}"
STATE = "/api/v1/state"


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For runtime directories of doors that several tests knock at: a short path."""
    folder = Path(tempfile.mkdtemp(prefix="ea-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def door(rooms: Path) -> Iterator[Door]:
    """One that asks for a token, and has one panel and one dashboard listed."""
    listed = {"origins": ["https://panel.example"], "cors": ["https://dashboard.example"]}
    with opened(rooms / "a", TOKEN, limits={"body_mb": 0.1, "burst": 100_000}, **listed) as opened_:
        yield opened_


@pytest.fixture(scope="module")
def free(rooms: Path) -> Iterator[Door]:
    """One that asks for none."""
    with opened(rooms / "b") as opened_:
        yield opened_


def sign_in(door: Door) -> str:
    cookie = door.ask("POST", "/api/v1/session", {"token": TOKEN}).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    return cookie.split(";")[0]


# --- tokens and cookies ---


@pytest.mark.parametrize(
    "shown",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}, {"authorization": f"Bearer {TOKEN}x"}],
)
def test_without_the_token_nothing_is_told(door: Door, shown: dict[str, str]) -> None:
    refused = door.ask("GET", STATE, **shown)
    assert (refused.status, refused.code) == (401, "token_needed")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert "assistant gateway token" in refused.json["error"]["mend"]


def test_the_token_or_the_cookie_opens(door: Door) -> None:
    assert door.ask("GET", STATE, authorization=BEARER).status == 200
    assert door.ask("GET", STATE, cookie=sign_in(door)).status == 200


def test_a_token_in_the_address_opens_nothing_and_a_wrong_one_no_session(door: Door) -> None:
    assert door.ask("GET", f"{STATE}?token={TOKEN}").status == 401
    refused = door.ask("POST", "/api/v1/session", {"token": "wrong"})
    assert (refused.status, "set-cookie" in refused.headers) == (401, False)


def test_a_forged_cookie_opens_nothing(door: Door) -> None:
    expires, _, signature = sign_in(door).removeprefix("assistant=").partition(".")
    for forged in (f"{int(expires) + 9}.{signature}", f"{expires}.{'0' * 64}", TOKEN, ""):
        assert door.ask("GET", STATE, cookie=f"assistant={forged}").status == 401


def test_signing_out_takes_the_cookie_back(door: Door) -> None:
    told = door.ask("DELETE", "/api/v1/session", origin=door.url)
    assert (told.status, "Max-Age=0" in told.headers["set-cookie"]) == (204, True)


def test_no_secret_is_in_the_log(door: Door) -> None:
    cookie = sign_in(door)
    door.ask("GET", STATE, authorization=BEARER)
    door.ask("GET", f"/api/v1/{TOKEN}?x={TOKEN}")
    with door.connect() as connection:
        connection.sendall(f"nonsense {TOKEN}\r\nAuthorization: {BEARER}\r\n\r\n".encode())
        assert answer(connection).status == 400
    assert TOKEN not in door.said
    assert cookie.partition("=")[2] not in door.said


# --- pages of other sites ---


def test_a_name_that_was_rebound_to_us_is_refused(door: Door, free: Door) -> None:
    for one in (door, free):
        for host in ("evil.example", f"evil.example:{one.port}", "127.0.0.1.evil.example", "192.168.1.2", ""):
            refused = one.ask("GET", STATE, host=host, authorization=BEARER)
            assert (refused.status, refused.code) == (421, "unknown_host"), host
    assert free.ask("GET", STATE, host=f"localhost:{free.port}").status == 200


EVIL = {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", STATE, {**EVIL, "sec_fetch_mode": "cors"}),
        ("POST", "/api/v1/session", {**EVIL, "content_type": "text/plain"}),
        ("POST", "/api/v1/session", {"origin": "null"}),
        ("GET", "/", {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}),
        ("GET", STATE, {"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors"}),
        ("OPTIONS", STATE, {**EVIL, "access_control_request_method": "GET"}),
    ],
)
def test_a_page_of_another_site_reaches_nothing(free: Door, method: str, path: str, headers: dict[str, str]) -> None:
    refused = free.ask(method, path, b"", **headers)
    assert (refused.status, refused.code) == (403, "foreign_page")
    assert "access-control-allow-origin" not in refused.headers


def test_a_listed_page_may_use_the_api_with_a_token_but_not_with_the_cookie(door: Door) -> None:
    page = {"origin": "https://dashboard.example", "sec_fetch_site": "cross-site"}
    asked = door.ask("OPTIONS", STATE, access_control_request_method="GET", **page)
    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == "https://dashboard.example"
    assert "Authorization" in asked.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in asked.headers
    told = door.ask("GET", STATE, authorization=BEARER, **page)
    assert (told.status, told.headers["access-control-allow-origin"]) == (200, "https://dashboard.example")
    assert "origin" in told.headers["vary"].lower()
    assert door.ask("GET", STATE, authorization=BEARER, origin="https://dashboard.example.evil.example").status == 403


def test_the_cookie_changes_something_only_from_our_own_page(door: Door) -> None:
    cookie, path = sign_in(door), "/api/v1/clear"
    for headers in ({}, {"origin": "https://dashboard.example"}, {"sec_fetch_site": "none"}):
        refused = door.ask("POST", path, {}, cookie=cookie, **headers)
        assert (refused.status, refused.code) == (403, "not_our_page"), headers
    for headers in ({"origin": door.url}, {"origin": "https://panel.example"}, {"sec_fetch_site": "same-origin"}):
        assert door.ask("POST", path, {}, cookie=cookie, **headers).status not in (401, 403)


def handshake(door: Door, **headers: str) -> Answer:
    upgrade = {"connection": "Upgrade", "upgrade": "websocket", "sec_websocket_version": "13"}
    return door.ask("GET", "/ws", sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==", **upgrade, **headers)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": BEARER, "origin": "https://evil.example"}, 403),
        ({"authorization": BEARER, "origin": "https://dashboard.example"}, 403),  # listed for the API, not for events
        ({"authorization": BEARER, "origin": "null"}, 403),
        ({"authorization": BEARER, "host": "evil.example"}, 421),
        ({"authorization": BEARER}, 101),
        ({"authorization": BEARER, "origin": "https://panel.example"}, 101),
    ],
)
def test_events_are_for_who_has_the_token_and_for_our_own_page(
    door: Door, headers: dict[str, str], status: int
) -> None:
    assert handshake(door, **headers).status == status


def test_a_page_of_another_site_opens_no_socket_with_the_cookie(door: Door) -> None:
    cookie = sign_in(door)
    assert handshake(door, cookie=cookie, origin="https://evil.example").status == 403
    assert handshake(door, cookie=cookie, origin=door.url).status == 101


# --- headers, paths, methods ---


def test_every_answer_carries_the_headers(door: Door) -> None:
    for path in (STATE, "/", "/nothing", "/api/v1/session"):
        told = door.ask("GET", path).headers
        assert "default-src 'none'" in told["content-security-policy"]
        assert "unsafe" not in told["content-security-policy"]
        assert (told["x-content-type-options"], told["x-frame-options"]) == ("nosniff", "DENY")
        assert told["referrer-policy"] == "no-referrer"
        assert "server" not in told


@pytest.mark.parametrize(
    "path",
    [
        "/static/../settings.json",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static//etc/passwd",
        "/../../etc/passwd",
        "/static/..%2f..%2fetc%2fpasswd",
        "/static/index.html%00.png",
        "//etc/passwd",
    ],
)
def test_no_path_is_ever_opened(free: Door, path: str) -> None:
    refused = free.ask("GET", path)
    assert refused.status == 404
    assert b"root:" not in refused.body


def test_a_method_that_is_not_taken_names_those_that_are(free: Door) -> None:
    refused = free.ask("POST", STATE, {})
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    assert free.ask("HEAD", STATE).body == b""


# --- how much, how often ---


def test_a_body_that_is_announced_too_large_is_not_waited_for(door: Door) -> None:
    refused = door.ask("POST", "/api/v1/session", b"", content_length="200000")
    assert (refused.status, refused.code, refused.headers["connection"]) == (413, "too_large", "close")


def test_a_body_that_grows_too_large_is_cut_off(door: Door) -> None:
    head = f"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    with door.connect() as connection:
        connection.sendall(head.encode())
        sent = 0
        try:
            while sent < 100 * len(chunk):
                connection.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass  # cut off: as it should be
        try:
            assert answer(connection).status == 413
        except ConnectionError:
            assert sent < 100 * len(chunk)


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (b"{", "application/json", "invalid_json"),
        (b"\xff\xfe", "application/json", "invalid_json"),
        (b"[" * 50_000, "application/json", "invalid_field"),
        (b'{"token": 7}', "application/json", "invalid_field"),
        (b'{"token": "x", "more": 1}', "application/json", "invalid_field"),
        (b"{}", "application/json", "invalid_field"),
        (b"token=x", "application/x-www-form-urlencoded", "not_json"),
    ],
)
def test_a_body_that_is_wrong_is_refused_in_words(free: Door, body: bytes, kind: str, code: str) -> None:
    refused = free.ask("POST", "/api/v1/session", body, content_type=kind)
    assert (refused.status, refused.code) == (415 if code == "not_json" else 400, code)


def test_who_asks_too_often_is_told_when_to_come_again(runtime: Path) -> None:
    with opened(runtime, limits={"burst": 3, "requests_per_s": 0.01}) as door:
        answers = [door.ask("GET", STATE) for _ in range(5)]
    assert [one.status for one in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 100


# --- beyond loopback ---


def test_beyond_loopback_it_speaks_tls_with_a_certificate_of_its_own(runtime: Path) -> None:
    with opened(runtime, TOKEN, host="0.0.0.0") as door:
        assert door.url.startswith("https://")
        assert door.ask("GET", STATE).status == 401
        told = door.ask("POST", "/api/v1/session", {"token": TOKEN})
        assert "; Secure" in told.headers["set-cookie"]
        assert door.ask("GET", STATE, host="192.168.7.7", authorization=BEARER).status == 200
        assert door.ask("GET", STATE, host="evil.example", authorization=BEARER).status == 421
        pem = (runtime / "gateway-tls" / "cert.pem").read_bytes()
        assert os.stat(runtime / "gateway-tls" / "key.pem").st_mode & 0o777 == 0o600
        with socket.create_connection(("127.0.0.1", door.port)) as plain:  # who speaks no TLS gets nothing
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert b"HTTP/1.1 200" not in plain.recv(1000)
    with opened(runtime, TOKEN, host="0.0.0.0"):
        assert (runtime / "gateway-tls" / "cert.pem").read_bytes() == pem  # what phones have accepted stays


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        (None, 0o600, "cannot be read"),
        (TOKEN, 0o644, "chmod 600"),
        ("short", 0o600, "token 1 of it is none"),
        ("", 0o600, "it holds no token"),
    ],
)
def test_a_token_file_that_is_not_in_order_is_named(runtime: Path, text: str | None, mode: int, says: str) -> None:
    file = runtime / "token"
    if text is not None:
        file.touch(mode)
        file.write_text(text)
        file.chmod(mode)
    with started(processes.service(runtime, "gateway", MODULE, port=0, token_file=str(file))) as process:
        code, said = ended(process)
    assert (code, says in said, said.count("\n")) == (78, True, 1), said
    assert "short" not in said


def test_a_credential_of_systemd_is_a_token(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = runtime / "credentials"
    credentials.mkdir()
    (credentials / "gateway-token").write_text(TOKEN)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    with opened(runtime, token_file="gateway-token") as door:
        assert door.ask("GET", STATE).status == 401
        assert door.ask("GET", STATE, authorization=BEARER).status == 200
