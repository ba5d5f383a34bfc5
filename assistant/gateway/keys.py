"""The tokens that clients show, and the sessions of the console."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import Headers

from assistant import paths
from assistant.core import access
from assistant.gateway.errors import Refusal
from assistant.gateway.settings import Settings
from assistant.service import Unfit

MAKE_ONE = "assistant gateway token makes one"


class Keys:
    """``known`` none: nobody is asked for a token."""

    def __init__(self, known: tuple[str, ...], wall: Callable[[], float] = time.time) -> None:
        self._known, self._wall = known, wall

    @property
    def asked_for(self) -> bool:
        return bool(self._known)

    def check(self, headers: Headers, method: str, ours: bool) -> None:
        """``ours``: the request comes from our own page. Raises Refusal (401, 403) for who may not."""
        if not self._known:
            return
        given = access.bearer(headers.get("authorization", ""))
        if given:
            if access.matches(given, self._known):
                return
            raise self._unknown("This token is not known here.")
        cookie = access.cookies(headers.get("cookie", "")).get(access.COOKIE, "")
        if not access.in_session(cookie, self._known, self._wall()):
            raise self._unknown("This needs a token.")
        if method in access.UNSAFE and not ours:
            raise Refusal(
                403,
                "not_our_page",
                "With the console's cookie only the console itself may do this.",
                mend="Send the token as Authorization: Bearer.",
            )

    def session(self, token: str) -> tuple[str, int]:
        """A cookie for who knows a token, and for how many seconds it is good. Raises Refusal (401)."""
        if not access.matches(token, self._known):
            raise self._unknown("This token is not known here.")
        return access.session(token, int(self._wall()) + access.SESSION_S), access.SESSION_S

    @staticmethod
    def _unknown(message: str) -> Refusal:
        return Refusal(
            401,
            "token_needed",
            message,
            mend=f"Send it as Authorization: Bearer, or sign in at /; {MAKE_ONE} on the device.",
            headers={"WWW-Authenticate": 'Bearer realm="edge-assistant"'},
        )


def read(settings: Settings) -> tuple[str, ...]:
    """The tokens that clients must show; none where only this machine can reach us and no file is named. Raises
    Unfit."""
    wide = not access.loopback(settings.host)
    if not settings.token_file:
        if not wide:
            return ()
        if not paths.own_token().is_file():
            raise Unfit(
                f"gateway.host = {settings.host!r} lets other machines in, and there is no token to ask them for; "
                f"{MAKE_ONE}, or listen at 127.0.0.1"
            )
    path, handed = _place(settings.token_file)
    try:
        text, mode = path.read_text("utf-8"), stat.S_IMODE(path.stat().st_mode)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise Unfit(f"the token cannot be read from {path} (gateway.token_file): {why}; {MAKE_ONE}") from error
    if mode & 0o077 and not handed:
        raise Unfit(f"{path} (gateway.token_file) can be read by other users of this machine; chmod 600 {path}")
    try:
        return access.tokens(text)
    except ValueError as error:
        raise Unfit(f"{path} (gateway.token_file): {error}; {MAKE_ONE}") from error


def _place(named: str) -> tuple[Path, bool]:
    """Where the file lies, and whether it is a credential that systemd hands to us (and guards). A plain name is one of
    these, or stands beside the user's settings."""
    if not named:
        return paths.own_token(), False
    path = Path(named).expanduser()
    if path.name != named:
        return path, False
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return (Path(given) / named, True) if given else (paths.own_token().with_name(named), False)
