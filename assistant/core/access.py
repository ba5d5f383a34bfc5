"""Who may reach the gateway, decided: what a Host, an Origin, a bind address and a token are worth. Pure.

Sources: RFC 9110 7.2 (Host), RFC 6454 7 (Origin), RFC 6455 10.2 (a WebSocket's Origin is the server's to check),
RFC 6265bis 5.6.7 (SameSite).
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Collection, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

COOKIE = "assistant"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
LOCAL_NAMES = frozenset({"localhost"})


def loopback(host: str) -> bool:
    """Is this bind address reached from this machine alone?"""
    if host in LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def hostname(authority: str) -> str | None:
    """The name or address of ``HOST[:PORT]`` in lower case, an IPv6 address without its brackets; None where it is no
    such thing."""
    try:
        parts = urlsplit(f"//{authority}")
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            return None
        _ = parts.port  # raises ValueError for one that is no number
        return parts.hostname.rstrip(".") if parts.hostname else None
    except ValueError:
        return None


def known_host(authority: str, wide: bool, names: Collection[str]) -> bool:
    """May a request call us so? By ``localhost`` or a loopback address always, and by the ``names`` that were given;
    beyond loopback (``wide``) by any address, which no page can rebind.

    DNS rebinding: a page of a foreign site makes its own name resolve to us; the browser then takes us for that site,
    and names it in Host.
    """
    name = hostname(authority)
    if name is None:
        return False
    if name in LOCAL_NAMES or name in names:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return wide or address.is_loopback


def same_origin(origin: str, scheme: str, authority: str) -> bool:
    """Is a page of this origin one of ours: the same scheme, name and port as the request was sent to?"""
    ours = _origin(f"{scheme}://{authority}")
    return ours is not None and _origin(origin) == ours


def listed(origin: str, origins: Collection[str]) -> bool:
    wanted = _origin(origin)
    return wanted is not None and wanted in {_origin(one) for one in origins}


def _origin(text: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(text)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname and parts.path in ("", "/") else None


def bearer(header: str) -> str:
    """The token of an Authorization header; "" where there is none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def cookies(header: str) -> Mapping[str, str]:
    """The cookies of a Cookie header; of several with one name the first."""
    found: dict[str, str] = {}
    for part in header.split(";"):
        name, equals, value = part.strip().partition("=")
        if equals:
            found.setdefault(name, value)
    return found


def matches(given: str, tokens: Collection[str]) -> bool:
    """Is it one of these? Takes the same time whichever it is, and however much of one is right."""
    secret = given.encode("utf-8", "surrogatepass")
    hits = [hmac.compare_digest(secret, token.encode()) for token in tokens]
    return any(hits)


# --- a page of another site ---


class Visit(NamedTuple):
    """What a browser says of where a request comes from; programs say nothing."""

    method: str
    origin: str = ""
    site: str = ""  # Sec-Fetch-Site
    mode: str = ""  # Sec-Fetch-Mode


def foreign(visit: Visit, ours: bool, allowed: bool) -> bool:
    """Does a page of another site make its visitor's browser ask this? ``ours``: the origin is our own; ``allowed``: or
    one that the owner has listed. A link that leads here is followed; nothing else of such a page is.

    Source: Fetch Metadata Request Headers (W3C), whose Sec-Fetch-* no page can forge. Another port of this machine is
    the same *site*, and still not us.
    """
    if visit.origin:
        return not (ours or allowed)
    navigation = visit.method == "GET" and visit.mode == "navigate"
    return visit.site in ("cross-site", "same-site") and not navigation


# --- sessions of the console ---

SESSION_S = 30 * 86_400


def session(token: str, expires_s: int) -> str:
    """A cookie that stands for a token until a time (seconds since 1970). It tells nothing of the token, needs no
    memory, and is void as soon as the token is changed."""
    return f"{expires_s}.{_signature(token, expires_s)}"


def in_session(cookie: str, tokens: Collection[str], now_s: float) -> bool:
    """Is this a cookie that ``session`` made of one of these tokens, and not too old?"""
    expires, _, signature = cookie.partition(".")
    if not expires.isdecimal() or len(expires) > 12 or not now_s < int(expires) <= now_s + SESSION_S + 1:
        return False
    return matches(signature, [_signature(token, int(expires)) for token in tokens])


def _signature(token: str, expires_s: int) -> str:
    return hmac.new(token.encode(), f"edge-assistant session {expires_s}".encode(), hashlib.sha256).hexdigest()


# --- tokens ---

LEAST = 20  # characters of a token: too many to be guessed, whatever they are


def tokens(text: str) -> tuple[str, ...]:
    """The tokens of a file, one a line; empty lines and those that begin with # are none. Raises ValueError."""
    found = [line.strip() for line in text.splitlines()]
    found = [line for line in found if line and not line.startswith("#")]
    if not found:
        raise ValueError("it holds no token")
    for number, token in enumerate(found, 1):
        if len(token) < LEAST or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError(f"token {number} of it is none: {LEAST} letters and digits at least, no blanks")
    return tuple(found)
