"""Where the token lies, and what doctor says of who may reach the gateway."""

from pathlib import Path
from typing import Any

import pytest

from assistant import paths, tokens
from assistant.checkup import doorway
from assistant.core.doctor.facts import Facts, Live
from assistant.core.doctor.surroundings import door

TOKEN = "a-token-of-the-tests-1234567890"


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def put(path: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def case(**settings: Any) -> str:
    """What doctor says of these settings."""
    found = doorway.look({"gateway": {"host": "127.0.0.1", "port": 8765, **settings}})
    return next(iter(door(Facts(live=Live(door=found))))).case


def test_on_loopback_none_is_asked_for_unless_a_file_is_named(tmp_path: Path) -> None:
    put(paths.own_token())
    assert (tokens.read("127.0.0.1", ""), case()) == ((), "door.here")
    named = put(tmp_path / "x" / "mine")
    assert tokens.read("127.0.0.1", str(named)) == (TOKEN,)


def test_beyond_it_the_users_own_is_asked_for() -> None:
    with pytest.raises(tokens.TokenError, match="assistant gateway token makes one"):
        tokens.read("0.0.0.0", "")
    assert case(host="0.0.0.0") == "door.token"
    put(paths.own_token())
    assert tokens.read("0.0.0.0", "") == (TOKEN,)
    assert case(host="0.0.0.0") == "door.wide"
    assert case(host="0.0.0.0", tls="off") == "door.plain"


def test_a_plain_name_is_a_credential_or_stands_beside_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert case(host="0.0.0.0", token_file="door-token") == "door.unseen"
    put(paths.own_token().with_name("door-token"))
    assert tokens.read("0.0.0.0", "door-token") == (TOKEN,)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "given"))
    with pytest.raises(tokens.TokenError, match="given/door-token"):
        tokens.read("0.0.0.0", "door-token")
    put(tmp_path / "given" / "door-token", f"{TOKEN}2", 0o440)  # as systemd guards it
    assert tokens.read("0.0.0.0", "door-token") == (f"{TOKEN}2",)


def test_one_that_others_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tokens.TokenError, match="chmod 600"):
        tokens.read("0.0.0.0", str(put(tmp_path / "open", mode=0o640)))


def test_where_the_gateway_is_not_started_that_is_said() -> None:
    assert doorway.look({"gateway": {"host": "0.0.0.0"}, "supervisor": {"services": ["dialogue"]}}) is None
    assert doorway.look({}) is None
