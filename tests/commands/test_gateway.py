"""assistant gateway: a token that is good, and where the daemon is."""

import os
from pathlib import Path

import pytest

from assistant import paths
from assistant.commands import main
from assistant.core import access
from tests.gateway.door import opened


def test_a_token_is_made_once_and_again_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gateway", "token"]) == 0
    told = capsys.readouterr()
    made = told.out.strip()
    assert access.tokens(made) == (made,)
    assert "gateway.host=0.0.0.0" in told.err
    assert made not in told.err
    assert os.stat(paths.own_token()).st_mode & 0o777 == 0o600
    assert main(["gateway", "token"]) == 0
    assert capsys.readouterr().out.strip() == made
    assert main(["gateway", "token", "--new"]) == 0
    assert capsys.readouterr().out.strip() not in ("", made)


def test_a_file_that_holds_no_token_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    paths.own_token().write_text("hush\n")
    assert main(["gateway", "token"]) == 1
    said = capsys.readouterr().err
    assert "make another one with --new" in said
    assert "hush" not in said
    paths.own_token().unlink()


def test_the_token_that_was_made_is_asked_for_beyond_loopback_alone(
    runtime: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gateway", "token"]) == 0
    bearer = f"Bearer {capsys.readouterr().out.strip()}"
    with opened(runtime / "wide", host="0.0.0.0") as door:
        assert door.ask("GET", "/api/v1/state").status == 401
        assert door.ask("GET", "/api/v1/state", authorization=bearer).status == 200
    with opened(runtime / "here") as door:
        assert door.ask("GET", "/api/v1/state").status == 200
        assert main(["gateway", "url", "--runtime", str(runtime / "here")]) == 0
        told = capsys.readouterr()
        assert (told.out.strip(), "Only this machine" in told.err) == (door.url, True)


def test_where_no_daemon_runs_that_is_said(
    runtime: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("assistant.commands.gateway.ANSWER_S", 0.1)
    assert main(["gateway", "url", "--runtime", str(runtime)]) == 69
    assert "no gateway is running" in capsys.readouterr().err
