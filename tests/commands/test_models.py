"""``assistant models`` from outside, against a local hub."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assistant.commands import FAILED, OK, SETTINGS, UNAVAILABLE, USAGE, main
from assistant.core.manifest import Entry, Source
from tests import hub
from tests.hub import Hub, Manners
from tests.installing import FILES, entry, laid_out


def toml(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


def write(path: Path, **models: Entry) -> None:
    """A manifest of these models, and a set "all" of them."""
    text = f'[sets.all]\nabout = ""\nmodels = {toml(list(map(dashed, models)))}\n'
    for name, model in models.items():
        values = {key: value for key, value in msgspec.to_builtins(model).items() if value is not None}
        text += f"[models.{dashed(name)}]\n" + "".join(f"{key} = {toml(values[key])}\n" for key in values)
    path.write_text(text)


def dashed(name: str) -> str:
    return name.replace("_", "-")


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest of one model, in a place of its own; nothing is installed."""
    monkeypatch.setenv("ASSISTANT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    write(tmp_path / "manifest.toml", a_model=entry())
    return tmp_path / "manifest.toml"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub.serving() as found:
        found.files["/some/one/resolve/abc/config.json"] = FILES["config.json"]
        found.files["/some/one/resolve/abc/deep/model.onnx"] = FILES["onnx/model.onnx"]
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        yield found


def test_from_a_hub_to_a_board_and_back_to_health(
    manifest: Path, served: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use = ["--manifest", str(manifest)]
    assert main(["models", "list", *use]) == OK
    assert "a-model  asr   10.0 kB  any CPU  absent  MIT" in capsys.readouterr().out
    assert main(["models", "pull", *use, "all"]) == OK
    out, told = capsys.readouterr()
    assert "a-model: 2 files came" in out
    assert "licence MIT" in out
    assert "a-model/onnx/model.onnx  10.0 kB of 10.0 kB  100 %" in told  # plain lines: there is no terminal
    assert "\r" not in told
    assert main(["models", "pull", "a-model", *use]) == OK
    assert "is already here" in capsys.readouterr().out
    assert main(["models", "path", "a-model", *use]) == OK
    assert capsys.readouterr().out == f"{tmp_path / 'models' / 'a-model'}\n"
    assert main(["models", "bundle", "all", "--out", str(tmp_path / "s.tar"), *use]) == OK
    monkeypatch.setenv("ASSISTANT_MODELS", str(tmp_path / "board"))
    assert main(["models", "import", str(tmp_path / "s.tar"), *use]) == OK
    capsys.readouterr()
    assert main(["models", "verify", *use]) == OK
    assert "a-model: is whole" in capsys.readouterr().out
    (tmp_path / "board" / "a-model" / "onnx" / "model.onnx").write_bytes(FILES["onnx/model.onnx"][::-1])
    assert main(["models", "verify", "--json", *use]) == FAILED
    assert json.loads(capsys.readouterr().out)["ok"] is False
    assert main(["models", "verify", *use]) == FAILED
    assert "NOT whole; pull it again" in capsys.readouterr().out


def test_what_ships_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == OK
    found = json.loads(capsys.readouterr().out)
    assert found["models"]["Qwen2-VL-2B-rk3588"]["family"] == "qwen2-vl-2b"
    assert found["models"]["faster-whisper-base"]["state"] == "absent"
    assert found["sets"]["cpu-en"]["models"][0] == "SmolVLM-256M-Instruct"
    assert main(["models", "list"]) == OK
    assert "cpu-zh" in capsys.readouterr().out
    assert main(["models", "verify"]) == OK
    assert "no models are in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["pull", "a-modle"], USAGE, "there is no model and no set 'a-modle'; did you mean 'a-model'?"),
        (["path", "a-model"], USAGE, "a-model is not whole here: config.json is missing"),
        (["path", "../x"], USAGE, "cannot be the name of a model"),
        (["pull", "--from", "nowhere", "a-model"], USAGE, "nowhere holds neither"),
        (["bundle", "a-model", "--out", "x.tar"], USAGE, "pull it first"),
        (["import", "nowhere.tar"], FAILED, "nowhere.tar is not installed: No such file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str], code: int, says: str, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", arguments[0], "--manifest", str(manifest), *arguments[1:]]) == code
    told = capsys.readouterr().err
    assert says in told
    assert len(told.strip().splitlines()) == 1


def test_without_network_it_says_what_to_do(
    manifest: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("assistant.core.fetching.TRIES", 1)
    assert main(["models", "pull", "a-model", "--manifest", str(manifest)]) == UNAVAILABLE
    told = capsys.readouterr().err
    assert "cannot be reached" in told
    assert "assistant models import FILE.tar" in told


def test_a_manifest_that_is_not_right(manifest: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest.write_text(manifest.read_text().replace('licence = "MIT"', ""))
    assert main(["models", "list", "--manifest", str(manifest)]) == SETTINGS
    assert "models.a-model: the table missing required field `licence`" in capsys.readouterr().err
    assert main(["models", "list", "--manifest", "nowhere.toml"]) == SETTINGS


def test_what_one_source_lacks_holds_up_no_other(
    manifest: Path, served: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    write(manifest, lonely=entry(source=Source(page="https://example.org")), a_model=entry())
    assert main(["models", "pull", "all", "--manifest", str(manifest)]) == USAGE
    out, told = capsys.readouterr()
    assert "a-model: 2 files came" in out
    assert "lonely lies on no hub" in told


def test_a_hub_that_refuses(manifest: Path, served: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    served.manners += [Manners(404)]
    assert main(["models", "pull", "a-model", "--manifest", str(manifest)]) == FAILED
    assert "does not exist (status 404)" in capsys.readouterr().err


def test_a_pull_that_is_interrupted_leaves_no_half_file(manifest: Path, served: Hub, tmp_path: Path) -> None:
    served.manners += [Manners(), Manners(pause_s=20)]
    code = "import sys; from assistant.commands import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "models", "pull", "a-model", "--manifest", str(manifest)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        assert served.paused.wait(20)
        process.kill()
    held = sorted(p.name for p in (tmp_path / "models" / "a-model").rglob("model*"))  # it may not have begun to write
    assert [name for name in held if not name.startswith("model.onnx.part")] == []
    served.go_on.set()
    assert main(["models", "pull", "a-model", "--manifest", str(manifest)]) == OK
    assert (tmp_path / "models" / "a-model" / "onnx" / "model.onnx").read_bytes() == FILES["onnx/model.onnx"]


def test_a_folder_of_the_users_own_is_carried_too(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laid_out(tmp_path / "models" / "mine")
    assert main(["models", "bundle", "mine", "--out", str(tmp_path / "m.tar"), "--manifest", str(manifest)]) == OK
    assert "mine" in capsys.readouterr().out
