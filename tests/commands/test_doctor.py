"""``assistant doctor`` from outside: exit codes, JSON, languages, what is opened, what is recorded."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from assistant import checkup, config, tables
from assistant.checkup import live
from assistant.checkup.models import places
from assistant.commands import _settings, main
from assistant.core import doctor
from assistant.core.doctor.words import tell
from assistant.lock import Lock
from assistant.messages import SERVICES
from tests.boards import BOARDS, RK3588, Tree
from tests.faults import FAULTS
from tests.pipelines.mjpeg_server import mjpeg
from tests.soundserver import SoundServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_RUNTIME", str(tmp_path / "runtime"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "board", RK3588)


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json", *arguments])
    table: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert table["exit"] == code
    return code, table


def by_check(table: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {row["check"]: row for row in table["checks"]}


def test_exit_codes(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked(capsys, "--root", str(tree.root))[0] == 0
    FAULTS["eager swapping"][1](tree)
    code, table = asked(capsys, "--root", str(tree.root))
    assert (code, table["counts"]["warning"], table["counts"]["failure"]) == (1, 1, 0)
    assert table["tuning"] == [
        {"check": "swappiness", "do": "sudo sysctl -w vm.swappiness=10", "undo": "sudo sysctl -w vm.swappiness=60"}
    ]
    FAULTS["no libgomp"][1](tree)
    code, table = asked(capsys, "--root", str(tree.root))
    assert (code, table["counts"]["warning"], table["counts"]["failure"]) == (2, 1, 1)
    assert by_check(table)["libgomp"] == {
        "check": "libgomp",
        "group": "libraries",
        "status": "failure",
        "case": "gomp.missing",
        "fact": "libgomp.so.1 is missing; librkllmrt.so cannot be loaded without it",
        "mend": "sudo apt install libgomp1",
    }


def test_for_people(tree: Tree, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    FAULTS["an NPU that slows down"][1](tree)
    FAULTS["no libgomp"][1](tree)
    FAULTS["somebody else's NPU lock"][1](tree)
    tree.put("/proc/rknpu/load", "NPU load:  429496%\n")
    assert main(["doctor", "--root", str(tree.root)]) == 2
    out = capsys.readouterr().out
    assert "✗ libgomp" in out
    assert "sudo apt install libgomp1" in out
    assert "! npu-clock  NPU: rknpu_ondemand" in out
    assert "echo rknpu_ondemand | sudo tee /sys/class/devfreq/fdab0000.npu/governor" in out
    assert "not checked: npu-load (unknown: the driver says 'NPU load: 429496%')" in out
    assert out.rstrip().splitlines()[-1].endswith("warning 1, failure 2, not checked 1")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert main(["doctor", "--root", str(tree.root)]) == 2
    assert "缺少 libgomp.so.1" in capsys.readouterr().out
    assert main(["doctor", "--root", str(tree.root), "--language", "en"]) == 2
    assert "libgomp.so.1 is missing" in capsys.readouterr().out
    assert main(["doctor", "--root", str(tree.root), "--commands"]) == 0
    npu = "/sys/class/devfreq/fdab0000.npu/governor"
    assert capsys.readouterr().out == (
        f"echo performance | sudo tee {npu}  # undo: echo rknpu_ondemand | sudo tee {npu}\n"
    )


@pytest.mark.parametrize("soc", BOARDS)
def test_a_mounted_system_is_judged_by_the_settings_here(
    soc: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a recording's doctor.json: what only a running machine tells is named as not checked."""
    tree = Tree(tmp_path / "card", BOARDS[soc])
    (tree.root / "doctor.json").unlink()
    llm, encoder = tree.board.files
    code, table = asked(
        capsys, "--root", str(tree.root), "--profile", "demo",
        "--set", "dialogue.llm.engine=rkllm", "--set", f"dialogue.llm.rkllm.model={llm}",
        "--set", f"dialogue.llm.rkllm.soc={soc}", "--set", f"vision.encoder.rknn.soc={soc}",
        "--set", "vision.encoder.engine=rknn", "--set", f"vision.encoder.rknn.model={encoder}",
        "--set", "vision.encoder.rknn.size=448",
    )  # fmt: skip
    assert code == 0, [row for row in table["checks"] if row["status"] not in ("ok", "not checked")]
    unseen = {row["check"] for row in table["checks"] if row["status"] == "not checked"}
    assert unseen == {
        "npu-device",
        "rknn-toolkit-lite2",
        "engines",
        "runtime-directory",
        "npu-lock",
        "sound",
        "camera",
    } | {"gateway"}
    assert {row["fact"] for row in table["checks"] if row["check"] == "model-files"} == {
        f"{llm} (0 MB)",
        f"{encoder} (0 MB)",
    }


def test_this_machine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The demo needs nothing but what is installed; without its devices a recording of it says the same."""
    sent = tmp_path / "sent"
    _, table = asked(capsys, "--profile", "demo", "--no-devices", "--record", str(sent))
    mine = by_check(table)
    assert mine["settings"]["status"] == mine["runtime-directory"]["status"] == mine["model-files"]["status"] == "ok"
    assert {row["fact"] for row in table["checks"] if row["check"] == "engines"} >= {"dialogue.llm: onnx"}
    assert mine["sound"]["case"] == mine["camera"]["case"] == "opened.declined"
    _, again = asked(capsys, "--root", str(sent))
    rest = [row for row in again["checks"] if row["group"] != "devices"]
    assert rest == [row for row in table["checks"] if row["group"] != "devices"]


@pytest.mark.parametrize("written", ["models/pico/model/", "./models/pico/model", str(ROOT / "models/pico/model")])
def test_a_model_is_found_however_its_path_is_written(
    written: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    _, table = asked(capsys, "--profile", "demo", "--no-devices", "--set", f"dialogue.llm.onnx.model={written}")
    assert by_check(table)["model-files"]["case"] == "model.ok"
    assert by_check(table)["memory"]["case"] == "memory.ok"


def test_auto_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Without models: what `auto` would take, why not the others, and how to get one."""
    code, table = asked(capsys, "--no-devices")
    facts = {row["fact"].partition(":")[0]: row for row in table["checks"] if row["check"] == "engines"}
    assert code == 2
    assert facts["dialogue.llm"]["case"] == "engine.none"
    assert "rkllm: not configured; onnx: its model is not here (" in facts["dialogue.llm"]["fact"]
    assert "assistant models pull cpu-en" in facts["dialogue.llm"]["mend"]
    assert facts["vision.encoder"]["case"] == "engine.blind"
    assert (facts["microphone.endofturn"]["case"], facts["microphone.endofturn"]["status"]) == ("engine.words", "ok")
    assert "auto takes espeak (piper: its model is not here (" in facts["speaker.tts"]["fact"]


def test_settings_that_are_wrong_are_one_finding(capsys: pytest.CaptureFixture[str]) -> None:
    code, table = asked(capsys, "--set", "dialog.language=en")
    assert code == 2
    assert "did you mean 'dialogue'?" in by_check(table)["settings"]["fact"]
    assert by_check(table)["sound"]["case"] == "opened.settings"
    assert by_check(table)["memory"]["status"] == "ok"


def test_a_running_assistant_keeps_its_devices(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "runtime").mkdir(mode=0o700)
    lock = Lock(tmp_path / "runtime" / "dialogue.lock")
    _, table = asked(capsys)
    lock.release()
    assert by_check(table)["sound"]["case"] == by_check(table)["camera"]["case"] == "opened.running"


def test_sound_and_camera_are_really_opened(sound_server: SoundServer, capsys: pytest.CaptureFixture[str]) -> None:
    sound = ["microphone.source=device", "microphone.device=echo_of", "speaker.output=device"]
    with mjpeg(np.asarray(cv2.imread(str(ROOT / "config/demo/table-1.png")), np.uint8)) as camera:
        secret = camera.url.replace("//", "//joe:ge-heim@")
        sets = [*sound, "speaker.device=desk_speaker", f"camera.source.opencv.source={secret}"]
        _, table = asked(capsys, "--profile", "demo", *(part for each in sets for part in ("--set", each)))
    assert by_check(table)["sound"]["case"] == by_check(table)["camera"]["case"] == "opened.ok"
    assert "ge-heim" not in json.dumps(table)
    sets = [*sound, "speaker.device=bathroom", "camera.source.opencv.source=/dev/video97"]
    code, table = asked(capsys, "--profile", "demo", *(part for each in sets for part in ("--set", each)))
    assert code == 2
    assert "no speaker is called 'bathroom'" in by_check(table)["sound"]["fact"]
    assert "there is no camera /dev/video97" in by_check(table)["camera"]["fact"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--root", "nowhere"], 2, "there is no directory nowhere"),
        (["--root", ".", "--record", "x"], 2, "leave out --root"),
        (["--record", "/dev/null/x", "--no-devices"], 1, "/dev/null/x cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *arguments]) == code
    told = capsys.readouterr().err
    assert says in told
    assert len(told.strip().splitlines()) == 1


def test_directories(tmp_path: Path) -> None:
    own = tmp_path / "own"
    assert live.folder(own).state == "ok"  # it will be made
    own.mkdir(mode=0o700)
    assert live.folder(own).state == "ok"
    own.chmod(0o750)
    assert (live.folder(own).state, live.folder(own).mode) == ("open", 0o750)
    (tmp_path / "file").touch()
    assert live.folder(tmp_path / "file").state == live.folder(tmp_path / "file" / "x").state == "closed"
    if os.getuid() == 0:
        os.chown(own, 65534, 65534)
        assert live.folder(own).state == "foreign"


def test_findings_can_be_had_without_printing(capsys: pytest.CaptureFixture[str]) -> None:
    """As a service has its settings: resolved, without the types of the others."""
    found = checkup.findings(config.load(_settings.sections(), "demo").resolved())
    assert {each.check for each in found} == {check.name for check in doctor.CHECKS}
    assert {tell(each, "en")[0] for each in found if each.check == "engines"} >= {"dialogue.llm: onnx"}
    assert capsys.readouterr() == ("", "")


def test_every_place_of_the_settings_that_names_an_engine_is_known() -> None:
    sets = ['cameras.door.source.opencv.source="rtsp://x/y"', 'microphone.mode="wakeword"']  # else none is used
    found = config.load(_settings.sections(), "demo", sets=sets)
    typed = {
        (found.written(f"{dotted}.{field}"), role)
        for name in SERVICES
        for dotted, table in tables.all_of(found.section(name, config.Settings), name)
        for field, role in getattr(type(table), "roles", {}).items()
    }
    assert {(place.key, place.role) for place in places(found.resolved())} == typed
    assert ("cameras.door.source", "camera") in typed
