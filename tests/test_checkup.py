"""Whole systems, healthy and not: every planted fault is named, and nothing else; nothing that a tree holds raises."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant import checkup
from assistant.checkup import board, models, record
from assistant.checkup.tree import Tree as Reader
from assistant.commands import _settings
from assistant.core import doctor
from assistant.core.doctor import tuning
from assistant.core.doctor.facts import Node
from assistant.core.doctor.finding import Finding
from assistant.core.doctor.words import WORDS, tell
from assistant.messages import Language
from tests.boards import BOARDS, RK3588, Tree
from tests.faults import FAULTS

LANGUAGES: tuple[Language, ...] = ("en", "zh")


@pytest.fixture(params=BOARDS)
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    return Tree(tmp_path / "board", BOARDS[request.param])


def findings(tree: Tree) -> list[Finding]:
    return doctor.examine(checkup.facts(Reader(tree.root), None))


def faults(found: list[Finding]) -> list[str]:
    return [finding.case for finding in found if finding.status in ("warning", "failure")]


def test_a_healthy_board_has_no_fault(tree: Tree) -> None:
    found = findings(tree)
    assert faults(found) == []
    assert doctor.worst(found) == 0
    assert [finding.check for finding in found if finding.status == "not checked"] == []
    assert {finding.check for finding in found} == {check.name for check in doctor.CHECKS}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_and_nothing_else(fault: str, tree: Tree) -> None:
    case, plant = FAULTS[fault]
    plant(tree)
    found = findings(tree)
    assert faults(found) == [case]
    assert doctor.worst(found) == (2 if WORDS[case].status == "failure" else 1)
    for finding in found:
        for language in LANGUAGES:
            fact, mend = tell(finding, language)
            assert fact
            assert bool(mend) or finding.status in ("ok", "not checked")
            assert "\n" not in fact + mend


@pytest.mark.parametrize(("mode", "shown"), [("wakeword", True), ("open", False), ("push_to_talk", False)])
def test_a_wake_word_engine_is_judged_only_where_one_is_used(mode: str, shown: bool) -> None:
    asked = Namespace(profile="camera-qa", board="", set=[f"microphone.mode={mode}"])
    chosen = {choice.key: choice for choice in models.choices(_settings.load(asked).resolved())}
    assert ("microphone.wakeword" in chosen) is shown
    assert "microphone.asr" in chosen
    if shown:
        assert {"microwakeword", "pocketsphinx"} <= chosen["microphone.wakeword"].tables.keys()


def test_every_word_of_complaint_is_planted() -> None:
    planted = {case for case, _ in FAULTS.values()} | {"soc.none", "settings.wrong", "library.unreadable"}
    assert {case for case, words in WORDS.items() if words.status in ("warning", "failure")} == planted


# What is as well as the healthy board's: path, text, and the case that it is told by.
FINE = {
    "the kernel that was seen to work": ("/proc/sys/kernel/osrelease", "6.1.75-vendor-rk35xx\n", "kernel.seen"),
    "the other recommended kernel": ("/proc/sys/kernel/osrelease", "5.10.209\n", "kernel.ok"),
    "a later one": ("/proc/sys/kernel/osrelease", "6.1.115-vendor-rk35xx\n", "kernel.ok"),
    "a later driver": ("/proc/rknpu/version", "RKNPU driver: v0.9.10\n", "driver.ok"),
    "a clock set by hand": ("/sys/class/devfreq/dmc/governor", "userspace\n", "clock.ok"),
    "no swap": ("/proc/meminfo", "MemTotal: 9000000 kB\nMemAvailable: 9000000 kB\nSwapTotal: 0 kB\n", "swap.none"),
    "dirty limits in bytes": ("/proc/sys/vm/dirty_ratio", "0\n", "dirty.ok"),
    "many files": ("/proc/self/limits", "Max open files  unlimited  unlimited  files\n", "files.ok"),
    "a name of three parts": ("/proc/device-tree/compatible", "a,b\0rockchip,rk3576-evb\0rockchip,rk3576\0", "soc.ok"),
}


@pytest.mark.parametrize("fine", FINE)
def test_what_is_well_otherwise_is_no_fault(fine: str, tmp_path: Path) -> None:
    path, text, case = FINE[fine]
    tree = Tree(tmp_path / "board", BOARDS["rk3576"])
    tree.put(path, text)
    if case == "swap.none":
        tree.put("/proc/sys/vm/swappiness", "100\n")
    found = findings(tree)
    assert faults(found) == []
    assert case in [finding.case for finding in found]


def test_the_driver_and_its_device_are_found_wherever_they_are_shown(tree: Tree) -> None:
    assert board.nodes(Reader(tree.root)) == ["/dev/dri/renderD129", "/dev/rknpu"]
    tree.put("/sys/class/drm/card1/device/uevent", "DRIVER=RKNPU\n")
    assert board.nodes(Reader(tree.root)) == ["/dev/dri/card1", "/dev/dri/renderD129", "/dev/rknpu"]
    tree.drop("/proc/rknpu")
    tree.put("/sys/module/rknpu/version", "0.9.6\n")
    assert faults(findings(tree)) == ["driver.old"]
    tree.drop("/sys/class/drm")
    assert faults(findings(tree)) == ["driver.old"]


def test_the_soc_is_also_known_by_its_npu(tree: Tree) -> None:
    tree.drop("/proc/device-tree")
    (soc,) = [finding for finding in findings(tree) if finding.check == "soc"]
    assert (soc.status, soc.values["soc"]) == ("ok", tree.board.soc)


def test_a_pc_is_checked_for_what_its_engines_need(tmp_path: Path) -> None:
    """Settings that want an NPU are wrong there; the NPU itself is not looked for."""
    tree = Tree(tmp_path / "pc", RK3588)
    for path in ("/proc/device-tree", "/proc/rknpu", "/sys", "/usr"):
        tree.drop(path)
    assert faults(findings(tree)) == ["soc.none"]
    for index in (0, 1):
        tree.choose(index, engine="onnx", tables={"onnx": {"model": "/data/none"}})
    found = findings(tree)
    assert faults(found) == ["model.nowhere"]
    assert [finding.case for finding in found if finding.check == "soc"] == ["soc.pc"]
    assert {finding.check for finding in found if finding.case == "npu.none"} == {
        check.name for check in doctor.CHECKS if check.npu
    }


def test_where_nothing_uses_the_npu_its_faults_are_warnings(tree: Tree) -> None:
    tree.drop("/usr/lib/librknnrt.so")
    for index, order in ((0, ("rkllm", "openai")), (1, ("rknn", "none"))):
        tree.choose(index, engine="auto", order=order, tables={order[1]: {}})
    assert [(f.case, f.status) for f in findings(tree) if f.case == "library.missing"] == [
        ("library.missing", "warning")
    ]


def test_a_library_that_the_settings_do_not_use_is_not_missed(tree: Tree) -> None:
    tree.drop("/usr/lib/librkllmrt.so")
    tree.drop("/usr/lib/aarch64-linux-gnu/libgomp.so.1")
    tree.choose(0, engine="none", tables={"none": {}})
    found = findings(tree)
    assert faults(found) == []
    assert {f.check for f in found if f.case == "library.unused"} == {"librkllmrt", "libgomp"}


def test_a_library_that_may_not_be_read(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Reader.data
    monkeypatch.setattr(Reader, "data", lambda self, path, most: None if "rknnrt" in path else real(self, path, most))
    assert faults(findings(tree)) == ["library.unreadable"]


# What a file may hold instead of what it should.
ABSURD: dict[str, Callable[[Tree, str], None]] = {
    "missing": lambda tree, path: tree.drop(path),
    "a directory": lambda tree, path: tree.block(path),
    "empty": lambda tree, path: tree.put(path, b""),
    "no text": lambda tree, path: tree.put(path, b"\xff\xfe\x00\x1b[31m" * 50),
    "a huge number": lambda tree, path: tree.put(path, b"9" * 5000),
    "percent": lambda tree, path: tree.put(path, b"NPU load:  429496%\n"),
    "braces": lambda tree, path: tree.put(path, b"{path!r} {0} %s {"),
    "a loop": lambda tree, path: tree.loop(path),
}


@pytest.mark.parametrize("absurdity", ABSURD)
def test_no_file_of_a_tree_makes_it_stumble(absurdity: str, tree: Tree) -> None:
    for path in tree.files():
        before = tree.place(path).read_bytes()
        ABSURD[absurdity](tree, path)
        said(findings(tree))
        if tree.place(path).is_symlink():
            tree.place(path).unlink()
        elif tree.place(path).is_dir():
            tree.drop(path)
        tree.put(path, before)
    assert faults(findings(tree)) == []


def said(found: list[Finding]) -> str:
    """All that is told of them, without anything that a terminal would obey."""
    text = "".join("".join(tell(finding, language)) for finding in found for language in LANGUAGES)
    assert all(each.isprintable() for each in text)
    return text


@pytest.mark.parametrize(
    "load", ["NPU load:  429496%\n", "NPU load:  Core0:  0%, Core1: 4294967295%,\n", "NPU load:\n"]
)
def test_an_absurd_load_is_unknown_and_no_load(load: str, tree: Tree) -> None:
    tree.put("/proc/rknpu/load", load)
    found = findings(tree)
    assert faults(found) == []
    assert [(f.case, f.status) for f in found if f.check == "npu-load"] == [("load.absurd", "not checked")]


def test_a_tree_of_nothing(tmp_path: Path) -> None:
    found = doctor.examine(checkup.facts(Reader(tmp_path), None))
    assert faults(found) == []
    assert {f.status for f in found if f.group == "board"} == {"ok", "not checked"}
    assert said(found)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"live": 3}', b'{"x": ' + b"[" * 100_000, b'{"choices": [{"key": "a"}]}']
)
def test_a_recording_that_makes_no_sense_is_as_none(text: bytes, tree: Tree) -> None:
    tree.put(record.FILE, text)
    found = findings(tree)
    assert faults(found) == []
    assert "device.unseen" in [f.case for f in found]


def test_what_only_root_may_read_is_said_so(tree: Tree) -> None:
    tree.drop("/proc/rknpu")
    found = findings(tree)
    assert faults(found) == []
    assert [f.case for f in found if f.status == "not checked"] == ["driver.unknown", "load.unseen"]
    tree.put("/sys/kernel/debug/rknpu/version", "RKNPU driver: v0.9.8\n")
    assert "driver.ok" in [f.case for f in findings(tree)]


def test_a_recording_tells_the_same(tree: Tree, tmp_path: Path) -> None:
    """Of a board whose libraries and models are not in the recording."""
    reader = Reader(tree.root)
    facts = checkup.facts(reader, None)
    count = record.write(tmp_path / "sent", reader, facts)
    again = checkup.facts(Reader(tmp_path / "sent"), None)
    assert doctor.examine(again) == doctor.examine(facts)
    files = [path for path in (tmp_path / "sent").rglob("*") if path.is_file()]
    assert len(files) == count
    assert sum(path.stat().st_size for path in files) < 20_000
    assert not any(path.name.endswith((".so", ".rkllm", ".rknn")) for path in files)
    with pytest.raises(record.RecordError, match="is not empty; name a new directory"):
        record.write(tmp_path / "sent", reader, facts)
    (tmp_path / "file").touch()
    with pytest.raises(record.RecordError, match="cannot be written"):
        record.write(tmp_path / "file" / "x", reader, facts)


def test_links_are_followed_within_the_tree_alone(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    (root / "sys/real").mkdir(parents=True)
    (root / "sys/real/file").write_text("inside")
    (root / "etc").mkdir()
    for name, target in {
        "absolute": "/sys/real",
        "climbing": "../../../../../../sys/real",
        "outside": str(tmp_path / "secret"),
        "loop": "loop",
    }.items():
        (root / "etc" / name).symlink_to(target)
    reader = Reader(root)
    assert reader.text("/etc/absolute/file") == "inside"
    assert reader.text("/etc/climbing/file") == "inside"
    assert reader.text("/etc/../../../etc/absolute/file") == "inside"
    assert reader.text("/etc/outside") == reader.text("/etc/loop") == reader.text("/../secret") == ""
    assert reader.names("/etc/*/file") == ["/etc/absolute/file", "/etc/climbing/file"]
    assert reader.text("/etc/absolute/\0") == ""
    assert reader.size("/etc/absolute") is None
    assert reader.is_folder("/etc/absolute")


def test_tuning_commands_restore_what_was_found(tree: Tree) -> None:
    assert list(tuning.commands(checkup.facts(Reader(tree.root), None))) == []
    npu = f"/sys/class/devfreq/{tree.board.npu}"
    policy = "/sys/devices/system/cpu/cpufreq/policy4"
    tree.put(f"{policy}/scaling_governor", "schedutil\n")
    tree.put(f"{policy}/scaling_max_freq", "1800000\n")
    tree.put(f"{npu}/governor", "rknpu_ondemand\n")
    tree.put("/sys/class/devfreq/dmc/governor", "dmc_ondemand\n")
    tree.put("/proc/sys/vm/swappiness", "60\n")
    tree.put("/proc/sys/vm/dirty_background_ratio", "11\n")
    tree.put("/proc/self/limits", "Max open files            1024                 1048576              files\n")
    pairs = [(each.do, each.undo) for each in tuning.commands(checkup.facts(Reader(tree.root), None))]
    assert pairs == [
        (
            f"echo performance | sudo tee {policy}/scaling_governor",
            f"echo schedutil | sudo tee {policy}/scaling_governor",
        ),
        (f"echo 2208000 | sudo tee {policy}/scaling_max_freq", f"echo 1800000 | sudo tee {policy}/scaling_max_freq"),
        (f"echo performance | sudo tee {npu}/governor", f"echo rknpu_ondemand | sudo tee {npu}/governor"),
        (
            "echo performance | sudo tee /sys/class/devfreq/dmc/governor",
            "echo dmc_ondemand | sudo tee /sys/class/devfreq/dmc/governor",
        ),
        ("sudo sysctl -w vm.swappiness=10", "sudo sysctl -w vm.swappiness=60"),
        ("sudo sysctl -w vm.dirty_background_ratio=5", "sudo sysctl -w vm.dirty_background_ratio=11"),
        ("ulimit -n 102400", "ulimit -Sn 1024"),
    ]


def test_no_command_can_be_slipped_into_a_tree(tree: Tree) -> None:
    tree.put("/sys/class/devfreq/x; reboot; npu/governor", "rknpu_ondemand\n")
    tree.put("/sys/class/devfreq/dmc/governor", "simple; reboot\n")
    tree.put("/usr/lib/a; reboot;/librknnrt.so", b"")
    tree.drop("/usr/lib/librknnrt.so")
    tree.live(nodes=(Node(path="/dev/dri/renderD129", group="x; reboot"),))
    facts = checkup.facts(Reader(tree.root), None)
    assert list(tuning.commands(facts)) == []
    assert "reboot" not in said(doctor.examine(facts))
