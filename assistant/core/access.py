"""Who may reach the gateway, decided: what a Host, an Origin, a bind address and a token are worth. Pure.

Sources: RFC 9110 7.2 (Host), RFC 6454 7 (Origin), RFC 6455 10.2 (a WebSocket's Origin is the server's to check),
RFC 6265bis 5.6.7 (SameSite).
"""

import hmac
import ipaddress
from collections.abc import Collection, Mapping
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
