"""``assistant probe`` against the simulated board: the right conclusion for boards that differ, and that die."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from assistant.commands import _child, _probe_board, _probe_steps, main
from assistant.commands._probe_steps import Finding, Subject
from assistant.lock import Lock
from pipelines import simulator
from pipelines.simulator import build

ROOT = Path(__file__).resolve().parent.parent.parent
REPLY = "It shows {pictures}" + ", and that is all" * 20
Board = Callable[..., Subject]


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step makes the library print, also where it runs in this process."""
    monkeypatch.setenv("RKLLM_LOG_LEVEL", "1")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("built")


@pytest.fixture
def board(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """A board of a release without an image encoder: ``board("1.2.3", faults="stale-picture")``."""
    for name in [name for name in os.environ if name.startswith("RKLLM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("RKLLM_SIM_REPLY", REPLY)

    def one(release: str, faults: str = "", reuse: bool = True, **pace: str) -> Subject:
        monkeypatch.setenv("RKLLM_SIM_FAULTS", faults)
        for name, ms in pace.items():
            monkeypatch.setenv(f"RKLLM_SIM_{name.upper()}_MS", ms)
        model = simulator.write_model(tmp_path / "m.rkllm", width=8, reuse=reuse)
        llm = {"model": str(model), "library": str(build.library(release, built)), "row_width": 8}
        return Subject(llm, None, str(tmp_path))

    return one


def concluded(findings: Iterator[Finding]) -> dict[str, str]:
    return {finding.name: finding.conclusion for finding in findings}


REUSE = {
    "1.1.4": ("1.1.4", True, {"text_reuse": "no", "picture_reuse": "no", "history": "skipped"}),
    "1.2.3, cut at the picture": ("1.2.3", True, {"text_reuse": "yes", "picture_reuse": "no", "history": "yes"}),
    "1.3.0": ("1.3.0", True, {"text_reuse": "yes", "picture_reuse": "yes", "history": "yes"}),
    "a model that cannot": ("1.3.0", False, {"text_reuse": "no", "picture_reuse": "no", "history": "yes"}),
}


@pytest.mark.parametrize(("release", "reuses", "expected"), REUSE.values(), ids=REUSE)
def test_reuse_of_a_prompt(release: str, reuses: bool, expected: dict[str, str], board: Board) -> None:
    pace = {"prefill": "1"} if release == "1.1.4" else {}  # it tells no tokens: by time
    assert concluded(_probe_steps.reuse(board(release, reuse=reuses, **pace))) == expected


@pytest.mark.parametrize("release", ["1.2.0", "1.2.3", "1.3.0"])
@pytest.mark.parametrize(("faults", "conclusion"), [("", "no"), ("stale-picture", "yes")])
def test_a_second_picture(release: str, faults: str, conclusion: str, board: Board) -> None:
    assert concluded(_probe_steps.second_picture(board(release, faults))) == {"second_picture": conclusion}


@pytest.mark.parametrize(("faults", "conclusion"), [("", "yes"), ("deaf-prefill", "no")])
def test_aborts(faults: str, conclusion: str, board: Board) -> None:
    pace = {"prefill": "1", "decode": "5"}
    expected = {"abort_prefill": conclusion, "abort_decode": "yes"}
    assert concluded(_probe_steps.aborts(board("1.3.0", faults, **pace))) == expected


def test_aborts_of_a_board_too_quick_to_tell(board: Board) -> None:
    assert set(concluded(_probe_steps.aborts(board("1.3.0"))).values()) == {"unclear"}


def first_then_death() -> Iterator[str]:
    print("said by a library", flush=True)
    yield "found before"
    os.abort()


def first_then_silence() -> Iterator[str]:
    yield "found before"
    threading.Event().wait()


def test_what_was_found_before_a_death_is_kept() -> None:
    found, why, printed = _child.told(first_then_death, (), 60)
    assert (found, why) == (["found before"], "died with signal 6 (SIGABRT)")
    assert "said by a library" in printed


def test_what_hangs_is_ended() -> None:
    found, why, _ = _child.told(first_then_silence, (), 1.5)
    assert (found, why) == (["found before"], "gave no answer within 1.5 s and was ended")


def probed(subject: Subject, *options: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    sets = [f"--set=dialogue.llm.rkllm.{key}={value}" for key, value in subject.llm.items() if key == "row_width"]
    model = [f"--model={subject.llm['model']}", f"--library={subject.llm['library']}"]
    done = subprocess.run(
        [sys.executable, "-m", "assistant", "probe", "--json", *model, *sets, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{simulator.STAND_IN}", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, json.loads(done.stdout), done.stderr


def test_all_of_it_on_a_board_with_both_libraries(board: Board, tmp_path: Path) -> None:
    encoder = simulator.write_encoder(tmp_path / "m.rknn", size=32, tokens=64, width=4, outputs=2)
    options = [f"--encoder={encoder}", "--set=vision.encoder.rknn.size=32", "--soc=rk3588", "--risky"]
    wall = {
        "ASSISTANT_NPU": str(tmp_path / "npu"),
        "ASSISTANT_RUNTIME": str(tmp_path),
        "RKLLM_SIM_NPU": str(tmp_path / "b"),
    }
    subject = board("1.3.0", prefill="0.5", decode="4", encode="60")
    code, told, progress = probed(subject, *options, **wall)
    assert code == 0, told
    assert {finding["name"]: finding["conclusion"] for finding in told["findings"]} == {
        "encoder": "yes",
        "load": "yes",
        "text_reuse": "yes",
        "picture_reuse": "yes",
        "history": "yes",
        "second_picture": "no",
        "abort_prefill": "yes",
        "abort_decode": "yes",
        "turns": "yes",
        "beside": "no",  # the simulated board fails on overlap, as boards do
    }
    assert (told["board"]["rkllm"], told["board"]["driver"]) == ("1.3.0", "0.9.8")
    assert told["files"]["llm"]["name"] == "m.rkllm"
    assert str(tmp_path) not in json.dumps(told)  # nobody's folders are sent
    assert "both libraries at once" in progress
    assert len(_probe_board.lines(told)) > 2 * len(told["findings"])


def test_a_library_that_dies_is_a_finding(board: Board, tmp_path: Path) -> None:
    wall = {"ASSISTANT_NPU": str(tmp_path / "npu"), "ASSISTANT_RUNTIME": str(tmp_path)}
    code, told, _ = probed(board("1.3.0", "death"), **wall)
    assert code == 1
    found = {finding["name"]: finding for finding in told["findings"]}
    for name in ("load", "text_reuse", "second_picture", "abort_decode"):
        assert (found[name]["conclusion"], found[name]["broke"]) == ("unclear", True)
        assert found[name]["why"] == "died with signal 6 (SIGABRT)"
    for name in ("turns", "beside"):
        assert found[name]["conclusion"] == "skipped"


REFUSED = {
    "no model": ([], 2, "no model is named; give --model FILE.rkllm"),
    "no time": (["--model=m.rkllm", "--limit=0"], 2, "--limit 0 is no time to work in"),
    "a wrong soc": (["--model=m.rkllm", "--soc=rk1"], 78, "Invalid enum value 'rk1'"),
    "a wrong option": (["--model=m.rkllm", "--set=dialogue.llm.rkllm.reuze=none"], 78, "did you mean 'reuse'?"),
}


@pytest.mark.parametrize(("options", "code", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(
    options: list[str],
    code: int,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ASSISTANT_RUNTIME", str(tmp_path))
    assert main(["probe", *options]) == code
    assert why in capsys.readouterr().err


def test_it_does_not_disturb_a_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASSISTANT_RUNTIME", str(tmp_path))
    lock = Lock(tmp_path / "dialogue.lock")
    assert main(["probe", "--model=m.rkllm"]) == 69
    lock.release()
    assert "a daemon runs here and has the NPU; stop it" in capsys.readouterr().err


def test_facts_of_a_board(tmp_path: Path) -> None:
    tree = tmp_path / "proc" / "device-tree"
    tree.mkdir(parents=True)
    (tree / "compatible").write_bytes(b"radxa,rock-5b\0rockchip,rk3588\0")
    (tmp_path / "proc/meminfo").write_text("MemTotal:       16000000 kB\n")
    (tmp_path / "proc/rknpu").mkdir()
    (tmp_path / "proc/rknpu/version").write_text("RKNPU driver: v0.9.7\n")
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/librknnrt.so").write_bytes(b"\x7fELF librknnrt version: 2.3.2 (429f97ae6b@2025-04-09)\0")
    facts = _probe_board.read(
        tmp_path, "I rkllm: rkllm-runtime version: 1.2.3, rknpu driver version: 0.9.8, platform: RK3588"
    )
    assert (facts["soc"], facts["compatible"]) == ("rk3588", "radxa,rock-5b rockchip,rk3588")
    assert (facts["rkllm"], facts["librknnrt"], facts["driver"]) == ("1.2.3", "2.3.2", "0.9.7")
    assert facts["memory_mb"] == 16384
    assert _probe_board.read(tmp_path / "nowhere", "")["librknnrt"] == ""
