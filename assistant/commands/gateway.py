"""Reach the running daemon with a browser: make the token that a phone has to show, and say where to point it.

token   print the token that is asked of other machines; makes one where there is none
url     print where the daemon that runs is reached

For a phone in the same network: assistant gateway token, then assistant run --set gateway.host=0.0.0.0, then open the
address that it prints and sign in with the token. The certificate is the daemon's own: the browser warns once."""

import argparse
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

from assistant import paths
from assistant.bus import Bus
from assistant.commands import OK, UNAVAILABLE, Failure, _settings
from assistant.core import access
from assistant.messages import Heartbeat
from assistant.unitfiles import Place

ANSWER_S = 5.0
NAME = "gateway-token"


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    token = actions.add_parser("token")
    token.add_argument("--new", action="store_true", help="another one: who used the old one has to sign in again")
    token.add_argument("--system", action="store_true", help="for the units of the system (as root)")
    url = actions.add_parser("url")
    url.add_argument(
        "--runtime", type=Path, default=None, help=f"where the daemon runs ({_settings.shown(paths.runtime())})"
    )


def run(asked: argparse.Namespace) -> int:
    return token(asked) if asked.action == "token" else url(asked)


def token(asked: argparse.Namespace) -> int:
    path = Place("system").settings / "credentials" / NAME if asked.system else paths.own_token()
    try:
        if asked.new or not path.exists():
            _write(path, secrets.token_urlsafe(24))
        known = access.tokens(path.read_text("utf-8"))
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}; {'use sudo' if asked.system else 'see whose it is'}", 1) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise Failure(f"{path}: {error}; make another one with --new", 1) from error
    print(known[0])
    for line in _next(path, asked.system):
        print(line, file=sys.stderr)
    return OK


def _write(path: Path, made: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.half")
    with open(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"{made}\n")
    half.chmod(0o600)
    half.replace(path)


def _next(path: Path, system: bool) -> list[str]:
    """What the owner does now."""
    if system:
        sets = f"--set gateway.host=0.0.0.0 --set gateway.token_file={NAME}"
        return [f"It is kept in {path}.", f"Now: sudo assistant systemd install {sets} --now"]
    return [
        f"It is kept in {path}; other machines are asked for it.",
        "Now: assistant run --set gateway.host=0.0.0.0",
        "Then open the address that it prints on the phone, and sign in with the token.",
    ]


def url(asked: argparse.Namespace) -> int:
    runtime = asked.runtime or paths.runtime()
    bus = Bus(runtime)
    try:
        told = bus.wait_for(Heartbeat, ANSWER_S, lambda beat: beat.detail.startswith(("http://", "https://")))
    finally:
        bus.close()
    if told is None:
        raise Failure(f"no gateway is running in {runtime}; assistant run --profile NAME", UNAVAILABLE)
    print(told.detail)
    if access.loopback(urlsplit(told.detail).hostname or ""):
        print("Only this machine reaches it. For others: assistant gateway token --help", file=sys.stderr)
    return OK
