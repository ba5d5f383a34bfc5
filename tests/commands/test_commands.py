"""The command line from outside: exit codes, one sentence on stderr, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.commands import COMMANDS, main, overview
from assistant.lock import Lock


def call(*arguments: str, runtime: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "assistant", *arguments],
        env={**os.environ, "ASSISTANT_RUNTIME": str(runtime), "ASSISTANT_STATE": str(runtime / "state"), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_names_every_command_with_an_example() -> None:
    text = overview()
    for name, command in COMMANDS.items():
        assert command.example.startswith(f"assistant {name}")
        assert command.example in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert COMMANDS[name].example in text
    assert "exit codes:" in text


def test_the_settings_are_handed_over_as_the_supervisor_does(tmp_path: Path) -> None:
    runtime, state = tmp_path / "r", tmp_path / "deep" / "state"
    resolve = ["config", "resolve", "--profile", "demo", "--set", "log.level=debug"]
    done = call(*resolve, "--runtime", str(runtime), "--state", str(state), runtime=runtime)
    path = runtime / "settings.json"
    assert (done.returncode, done.stdout.strip(), state.is_dir()) == (0, str(path), True), done.stderr
    assert json.loads(path.read_bytes())["log"]["level"] == "debug"
    assert {p.stat().st_mode & 0o777 for p in (runtime, state)} == {0o700}
    assert path.stat().st_mode & 0o777 == 0o600
    (tmp_path / "file").touch()
    refused = call(*resolve, "--runtime", str(tmp_path / "file" / "r"), runtime=runtime)
    assert (refused.returncode, "the settings cannot be written" in refused.stderr) == (69, True), refused.stderr


def test_the_settings_of_a_supervisor_are_its_own(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "supervisor.lock")
    try:
        done = call("config", "resolve", "--profile", "demo", "--runtime", str(tmp_path), runtime=tmp_path)
    finally:
        lock.release()
    assert (done.returncode, f"`assistant run` (process {os.getpid()}) uses" in done.stderr) == (69, True), done.stderr
    assert not (tmp_path / "settings.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, ""),
        (["--help"], 0, ""),
        (["replya"], 2, "there is no command 'replya'; did you mean 'replay'?"),
        (["replay"], 2, "the following arguments are required: scenario"),
        (["replay", "nowhere.toml"], 2, "nowhere.toml: cannot be read"),
        (["tap"], 69, "no daemon runs in"),
        (["tap", "Herd"], 2, "there is no message type 'Herd'; did you mean 'Heard'?"),
        (["tap", "AudioIn"], 2, "AudioIn is sent into an inbox (microphone)"),
        (["ask", "hello", "--image", "nowhere.png"], 2, "nowhere.png cannot be read"),
        (["config", "check", "--profile", "demoo"], 78, "there is no profile 'demoo'; did you mean 'demo'?"),
        (["config", "check", "--profile", "demo", "--set", "dialog.language=en"], 78, "did you mean 'dialogue'?"),
        (["config", "check", "--profile", "demo", "--set", "dialogue"], 78, "expected section.key=value"),
        (["config", "check", "--profile", "demo", "--set", "dialogue.llm.engine=onxx"], 78, "no llm engine 'onxx'"),
        (
            ["config", "check", "--profile", "demo", "--set", "speaker.tts.espeak.voise=x"],
            78,
            "--set: speaker.tts.espeak: unknown option 'voise'",
        ),
        (["config", "check", "--profile", "demo", "--set", "supervisor.services=['ear']"], 78, "no service 'ear'"),
        (["config", "check", "--profile", "demo", "--set", "cameras.door.fsp=1"], 78, "unknown key 'cameras.door.fsp'"),
        (
            ["config", "check", "--profile", "demo", "--set", "cameras.door.source.opencv.sorce=x"],
            78,
            "--set: cameras.door.source.opencv: unknown option 'sorce'",
        ),
        (["config", "check", "--profile", "demo", "--set", "vision.quality.drak=1"], 78, "did you mean 'dark'?"),
        (["run", "--profile", "demo", "--set", "camera.fps=often"], 78, "camera.fps"),
        (["run", "--profile", "demo", "--ephemeral"], 2, "name both"),
        (
            ["run", "--profile", "demo", "--without", "ear"],
            2,
            "--without ear: there is no such service; there are: mic",
        ),
    ],
)
def test_exit_codes_and_messages(arguments: list[str], code: int, says: str, tmp_path: Path) -> None:
    done = call(*arguments, runtime=tmp_path / "r")
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    if says and "usage:" not in done.stderr:
        assert len(done.stderr.strip().splitlines()) == 1


def test_config_shows_where_each_value_comes_from(tmp_path: Path) -> None:
    done = call("config", "show", "--profile", "demo", "--set", "dialogue.max_tokens=17", runtime=tmp_path)
    lines = dict(line.split("  # ") for line in (line for line in done.stdout.splitlines()))
    origins = {key.strip(): origin for key, origin in lines.items()}
    assert origins["dialogue.max_tokens = 17"] == "--set"
    assert origins['speaker.tts.engine = "espeak"'].endswith("demo.toml")
    assert "default" in origins.values()


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m assistant config show --profile demo | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
