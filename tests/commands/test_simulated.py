"""--simulate: what it refuses, what it puts in place of the profile's engines, and that nothing of it stays."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant import client
from assistant.commands import _settings, _simulated, main
from assistant.config import Config
from assistant.service import SIMULATED
from assistant.services import dialogue, microphone, speaker, vision
from tests import processes

BOARD = "rk3588:qwen3-vl-2b"


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """What is made of it for the services of a daemon is not for the next test."""
    saved = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(saved)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--simulate", "rk3588"], 2, "expected BOARD:MODEL or BOARD:MODEL:RELEASE; there are: rk3588:qwen2-vl-2b, "),
        (["--simulate", "rk3588:"], 2, "expected BOARD:MODEL"),
        (["--simulate", "rk3588:gpt"], 78, "no figures of rk3588:gpt are known; choose one of: rk3588:qwen2-vl-2b"),
        (["--simulate", f"{BOARD}:1.9"], 78, "no RKLLM release '1.9' is simulated; there are: 1.1.4, 1.2.0,"),
        (["--simulate", BOARD, "--board", "rk3576"], 2, "uses the board file rk3588; leave out --board rk3576"),
        (["--simulate", BOARD, "--speedup", "0"], 2, "--speedup 0: expected a number above 0"),
        (["--simulate", BOARD, "--speedup", "nan"], 2, "--speedup nan: expected a number above 0"),
        (["--speedup", "2"], 2, "--speedup is of a simulated board; name one with --simulate"),
    ],
)
@pytest.mark.parametrize("command", [["run"], ["chat"], ["ask", "hello"], ["replay", "tests/scenarios/typed.toml"]])
def test_what_is_refused(
    command: list[str], arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, *arguments]) == code
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


def test_chat_has_a_daemon_of_its_own(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["chat", "--simulate", BOARD, "--runtime", str(tmp_path)]) == 2
    assert "leave out --runtime" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["run"], ["ask", "hello"]])
def test_without_a_compiler_it_says_so(
    command: list[str], runtime: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(runtime))
    monkeypatch.setenv("ASSISTANT_RUNTIME", str(runtime / "run"))
    assert main([*command, "--profile", "demo", "--simulate", BOARD]) == 78
    assert "needs a C compiler (no-such-compiler: not found); install gcc, or set CC" in capfd.readouterr().err
    assert list(runtime.glob("run/*")) == []


def settings(runtime: Path, *sets: str, **more: Any) -> Any:
    asked = {"profile": "demo", "board": "", "set": list(sets), "simulate": BOARD, "speedup": 10.0, **more}
    return _simulated.settings(argparse.Namespace(**asked), runtime)


def test_its_engines_take_the_place_of_the_profiles(runtime: Path) -> None:
    with settings(runtime, "speaker.tts.espeak.words_per_minute=300", "dialogue.llm.rkllm.context=2000") as found:
        llm = found.section("dialogue", dialogue.Settings).llm
        encoder = found.section("vision", vision.Settings).encoder
        asr = found.section("microphone", microphone.Settings).asr
        tts = found.section("speaker", speaker.Settings).tts
        (folder,) = runtime.iterdir()
        assert folder.name.startswith(SIMULATED)
        assert (llm.engine, encoder.engine) == ("rkllm", "rknn")
        assert (llm.options["family"], encoder.options["family"]) == ("qwen3-vl-2b", "qwen3-vl-2b")
        assert {Path(llm.options["model"]).parent, Path(encoder.options["model"]).parent} == {folder}
        assert llm.options["context"] == 2000
        assert os.environ["RKLLM_SIM_NPU"].startswith(str(folder))
        assert os.environ["ASSISTANT_NPU"].startswith(str(folder))
        assert asr.options["engine"] == "pocketsphinx"
        assert "what do you see" in asr.options["options"]["phrases"]
        assert (tts.options["engine"], tts.options["slowness"]) == ("espeak", 0.1)
        assert tts.options["options"] == {"words_per_minute": 300}
        origins(found)
    assert list(runtime.iterdir()) == []


def origins(found: Config) -> None:
    """Each value comes from where it was said: the board's file is as it ships."""
    told = {key: Path(origin).name for key, _, origin in found.items()}
    assert told["dialogue.llm.engine"] == "--simulate"
    assert told["dialogue.llm.rkllm.model"] == "--simulate"
    assert told["dialogue.llm.rkllm.context"] == "--set"
    assert told["dialogue.llm.rkllm.soc"] == "rk3588.toml"
    assert told["vision.encoder.rknn.cores"] == "rk3588.toml"
    assert told["dialogue.sampling"] == "demo.toml"


def test_an_engine_that_is_still_to_be_found_is_wrapped_as_such(runtime: Path) -> None:
    with settings(runtime, profile="camera-qa") as found:
        asr = found.section("microphone", microphone.Settings).asr
        assert asr.options["engine"] == "auto"
        assert set(asr.options["options"]) >= {"sherpa_onnx", "faster_whisper", "pocketsphinx"}


def test_without_it_the_settings_are_the_profiles(runtime: Path) -> None:
    with settings(runtime, simulate="", speedup=1.0) as found:
        plain = _settings.load(argparse.Namespace(profile="demo", board="", set=[]))
        assert found.resolved() == plain.resolved()
    assert list(runtime.iterdir()) == []


def test_ask_never_takes_a_daemon_that_runs_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    with client.private("demo", ["log.level=warning"]) as running:
        monkeypatch.setenv("ASSISTANT_RUNTIME", str(running))
        command = [sys.executable, "-m", "assistant", "ask", "hello", "--profile", "demo", "--simulate", BOARD]
        done = subprocess.run([*command, "--speedup", "50"], capture_output=True, text=True, timeout=90)
    assert done.stdout == 'Simulated answer to "hello": I was given no picture.\n'
    assert done.stderr.startswith("Simulated board: rk3588, qwen3-vl-2b, RKLLM 1.3.0, 50 times as fast as it is")
    assert done.returncode == 0


def command(runtime: Path) -> list[str]:
    line = [sys.executable, "-m", "assistant", "run", "--profile", "demo", "--simulate", BOARD, "--speedup", "50"]
    return [*line, "--runtime", str(runtime / "run"), "--state", str(runtime / "state")]


def test_ctrl_c_releases_the_board(runtime: Path) -> None:
    with processes.started(command(runtime), RKLLM_SIM_LIVES=str(runtime / "lives")) as process:
        said = processes.read_until(process, "ready in")
        process.send_signal(signal.SIGINT)
        assert processes.ended(process)[0] == 0
    assert "speaker: ready: espeak at rk3588's pace" in said
    assert "microphone: ready: pocketsphinx at rk3588's pace, webrtcvad" in said
    assert (runtime / "lives").read_text().split()[::2] == ["init", "destroy"]
    assert list((runtime / "run").iterdir()) == []


def test_nothing_of_the_board_outlives_a_killed_supervisor(runtime: Path) -> None:
    with processes.started(command(runtime)) as process:
        processes.read_until(process, "ready in")
        assert len(list((runtime / "run").glob(f"{SIMULATED}*"))) == 1
        left = [one for one in processes.of(runtime) if one.pid != process.pid]
        process.kill()
        processes.await_end(left)
    assert list((runtime / "run").glob(f"{SIMULATED}*")) == []
