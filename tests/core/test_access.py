"""Who may reach the gateway: tables of what is right and of what is tried."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core import access
from assistant.core.access import Visit

TOKEN, OTHER = "right-right-right-right", "other-other-other-other"
NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("", False),
        ("localhost.evil.example", False),
    ],
)
def test_what_is_reached_from_this_machine_alone(host: str, local: bool) -> None:
    assert access.loopback(host) == local


HOSTS = [
    # what Host says, known on loopback, known beyond it
    ("127.0.0.1:8765", True, True),
    ("localhost", True, True),
    ("LOCALHOST:8765", True, True),
    ("[::1]:8765", True, True),
    ("board.local:8765", True, True),
    ("Board.Local.", True, True),
    ("192.168.1.20:8765", False, True),  # no page can rebind an address
    ("[fe80::1]", False, True),
    ("evil.example", False, False),
    ("127.0.0.1.evil.example", False, False),
    ("localhost.evil.example:8765", False, False),
    ("evil.example@127.0.0.1", False, False),
    ("127.0.0.1/evil", False, False),
    ("127.0.0.1:port", False, False),
    ("127.0.0.1:99999", False, False),
    ("[::1", False, False),
    ("2130706433", False, False),
    ("", False, False),
]


@pytest.mark.parametrize(("host", "alone", "wide"), HOSTS)
def test_a_name_that_was_rebound_to_us_is_not_ours(host: str, alone: bool, wide: bool) -> None:
    assert access.known_host(host, False, {"board.local"}) == alone
    assert access.known_host(host, True, {"board.local"}) == wide


@given(st.text(max_size=40))
def test_no_host_makes_it_stumble(host: str) -> None:
    access.known_host(host, True, {"board.local"})
    access.same_origin(host, "http", host)


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        ("https://board.local:8765", True),
        ("HTTPS://BOARD.local:8765", True),
        ("http://board.local:8765", False),
        ("https://board.local", False),
        ("https://board.local:8766", False),
        ("https://evil.example", False),
        ("https://board.local:8765.evil.example", False),
        ("https://board.local:8765/x", False),
        ("null", False),
        ("", False),
    ],
)
def test_an_origin_is_scheme_name_and_port(origin: str, same: bool) -> None:
    assert access.same_origin(origin, "https", "board.local:8765") == same
    assert access.listed(origin, ["https://board.local:8765"]) == same


def test_the_port_of_a_scheme_need_not_be_named() -> None:
    assert access.same_origin("https://board.local:443", "https", "board.local")
    assert access.listed("http://panel.local", ["http://panel.local:80/"])


VISITS = [
    # visit, is the origin ours, is it listed, foreign
    (Visit("GET"), False, False, False),  # a program
    (Visit("POST"), False, False, False),
    (Visit("POST", "https://us", "same-origin", "cors"), True, False, False),
    (Visit("POST", "https://evil", "cross-site", "no-cors"), False, False, True),
    (Visit("POST", "null", "cross-site", "cors"), False, False, True),
    (Visit("GET", "https://evil", "cross-site", "cors"), False, False, True),
    (Visit("GET", "https://panel", "cross-site", "cors"), False, True, False),
    (Visit("GET", "", "cross-site", "navigate"), False, False, False),  # a link that is followed
    (Visit("POST", "", "cross-site", "navigate"), False, False, True),  # a form that is sent
    (Visit("GET", "", "cross-site", "no-cors"), False, False, True),  # <img src>
    (Visit("GET", "", "same-site", "no-cors"), False, False, True),  # … of another port of this machine
    (Visit("GET", "", "same-origin", "no-cors"), False, False, False),
    (Visit("GET", "", "none", "navigate"), False, False, False),  # typed by the user
]


@pytest.mark.parametrize(("visit", "ours", "allowed", "foreign"), VISITS)
def test_a_page_of_another_site_may_only_link_here(visit: Visit, ours: bool, allowed: bool, foreign: bool) -> None:
    assert access.foreign(visit, ours, allowed) == foreign


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer abc", "abc"), ("bearer  abc ", "abc"), ("Basic abc", ""), ("Bearer", ""), ("abc", ""), ("", "")],
)
def test_a_bearer_token_is_read(header: str, token: str) -> None:
    assert access.bearer(header) == token


def test_of_two_cookies_with_one_name_the_first_counts() -> None:
    assert access.cookies("a=1; assistant=x=y;assistant=z; junk; =") == {"a": "1", "assistant": "x=y", "": ""}


@pytest.mark.parametrize("given_", [TOKEN[:-1], TOKEN + " ", TOKEN.upper(), "", "\ud800", "右" * 8])
def test_only_the_whole_token_is_right(given_: str) -> None:
    assert access.matches(TOKEN, [OTHER, TOKEN])
    assert not access.matches(given_, [OTHER, TOKEN])
    assert not access.matches(TOKEN, [])


def test_a_session_ends_with_its_time_and_with_its_token() -> None:
    cookie = access.session(TOKEN, int(NOW) + 100)
    assert TOKEN not in cookie
    assert access.in_session(cookie, [OTHER, TOKEN], NOW)
    assert not access.in_session(cookie, [OTHER], NOW)
    assert not access.in_session(cookie, [TOKEN], NOW + 100)


def test_nobody_lengthens_a_session() -> None:
    expires, _, signature = access.session(TOKEN, int(NOW) + 100).partition(".")
    for forged in (
        f"{int(expires) + 1}.{signature}",
        f"{expires}.{signature[:-1]}",
        f"{expires}.",
        f"{expires}",
        f".{signature}",
        f"-{expires}.{signature}",
        f"{expires}0000000.{signature}",
        f"٣{expires}.{signature}",
        "",
        ".",
    ):
        assert not access.in_session(forged, [TOKEN], NOW), forged
    far = access.session(TOKEN, int(NOW) + 10 * access.SESSION_S)  # by a clock that stood wrong
    assert not access.in_session(far, [TOKEN], NOW)


@given(st.text(max_size=60))
def test_no_cookie_makes_it_stumble(cookie: str) -> None:
    assert not access.in_session(cookie, [TOKEN], NOW)


def test_a_file_of_tokens_holds_one_a_line() -> None:
    assert access.tokens(f"# mine\n\n{TOKEN}\n  {OTHER} \n") == (TOKEN, OTHER)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no token"),
        ("# only words\n", "no token"),
        ("short\n", "token 1 of it is none"),
        (f"{TOKEN}\npass phrase of a person\n", "token 2"),
        ("ключ-ключ-ключ-ключ-ключ", "token 1"),
    ],
)
def test_what_is_no_token_is_refused_and_not_repeated(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        access.tokens(text)
    assert "short" not in str(error.value)
    assert "phrase" not in str(error.value)
