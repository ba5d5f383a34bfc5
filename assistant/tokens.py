"""Where the token lies that other machines must show to the gateway, and whether it is fit to be asked for."""

import os
import stat
from pathlib import Path

from assistant import paths
from assistant.core import access

MAKE_ONE = "assistant gateway token makes one"


class TokenError(Exception):
    """No token can be asked for as the settings want it; the text names the file and the mend."""


class NotHere(TokenError):
    """It is a credential that only the service itself is handed."""


def read(host: str, token_file: str) -> tuple[str, ...]:
    """The tokens that clients must show, for the gateway's settings of these names; none where only this machine can
    reach it and no file is named. Raises TokenError."""
    if not token_file:
        if access.loopback(host):
            return ()
        if not paths.own_token().is_file():
            raise TokenError(
                f"gateway.host = {host!r} lets other machines in, and there is no token to ask them for; "
                f"{MAKE_ONE}, or listen at 127.0.0.1"
            )
    path, handed = _place(token_file)
    try:
        text, mode = path.read_text("utf-8"), stat.S_IMODE(path.stat().st_mode)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        kind = NotHere if path.name == token_file and not handed else TokenError
        raise kind(f"the token cannot be read from {path} (gateway.token_file): {why}; {MAKE_ONE}") from error
    if mode & 0o077 and not handed:
        raise TokenError(f"{path} (gateway.token_file) can be read by other users of this machine; chmod 600 {path}")
    try:
        return access.tokens(text)
    except ValueError as error:
        raise TokenError(f"{path} (gateway.token_file): {error}; {MAKE_ONE}") from error


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
