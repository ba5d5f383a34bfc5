"""The tokens that clients show, and the sessions of the console."""

import time
from collections.abc import Callable

from starlette.datastructures import Headers

from assistant import tokens
from assistant.core import access
from assistant.gateway.errors import Refusal
from assistant.gateway.settings import Settings
from assistant.service import Unfit


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
            mend=f"Send it as Authorization: Bearer, or sign in at /; {tokens.MAKE_ONE} on the device.",
            headers={"WWW-Authenticate": 'Bearer realm="edge-assistant"'},
        )


def read(settings: Settings) -> tuple[str, ...]:
    """The tokens that clients must show. Raises Unfit."""
    try:
        return tokens.read(settings.host, settings.token_file)
    except tokens.TokenError as error:
        raise Unfit(str(error)) from error
