"""Faults of a board, each changing one thing, and the case by which doctor must name it."""

from collections.abc import Callable

import msgspec

from assistant.checkup.record import Recorded
from assistant.core.doctor.facts import Choice, Door, Folder, Node, Opened
from tests.boards import LFS, NODE, RKLLM, RKNN, Tree, choice, rkllm, rknn

UEVENT = "/sys/class/drm/renderD129/device/uevent"
RELEASE = "/proc/sys/kernel/osrelease"
CPU0 = "/sys/devices/system/cpu/cpufreq/policy0"

Fault = tuple[str, Callable[[Tree], None]]  # case of words.py, what brings it about


def _other_soc(tree: Tree) -> None:
    tree.put("/proc/device-tree/compatible", "pine64,quartz64-a\0rockchip,rk3566\0")
    tree.put(UEVENT, "DRIVER=RKNPU\nOF_COMPATIBLE_0=rockchip,rk3566-rknpu\n")


def _without_driver(tree: Tree) -> None:
    tree.drop("/proc/rknpu")
    tree.drop("/sys/class/drm/renderD129")


def _rocket(tree: Tree) -> None:
    _without_driver(tree)
    tree.put(RELEASE, "6.18.2-arm64\n")
    tree.put("/sys/class/accel/accel0/device/uevent", "DRIVER=rocket\n")


def _mainline(tree: Tree) -> None:
    _without_driver(tree)
    tree.put(RELEASE, "6.12.48-current-rockchip64\n")


def _without_library(path: str, moved: str = "") -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        if moved:
            tree.put(moved, tree.place(path).read_bytes())
        tree.drop(path)

    return change


def _model(index: int, content: bytes | None) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        path = tree.board.files[index]
        tree.drop(path) if content is None else tree.put(path, content)

    return change


def _for_another(tree: Tree) -> None:
    other = "rk3576" if tree.board.soc == "rk3588" else "rk3588"
    path = tree.board.files[0].replace(tree.board.soc + ".", other + ".")
    tree.put(path, b"\x01" * 100)
    tree.choose(0, tables={"rkllm": {"model": path, "soc": tree.board.soc}})


def _elsewhere(tree: Tree) -> None:
    tree.choose(0, tables={"rkllm": {"model": "/data/mine.rkllm", "soc": tree.board.soc}})


def _without_weights(tree: Tree) -> None:
    tree.put("/data/onnx/config.json", "{}")
    tree.say(_with(tree, choice("microphone.asr", "asr", "sherpa_onnx", {"model": "/data/onnx"})))
    _packages(tree, "sherpa_onnx")


def _half(tree: Tree) -> None:
    """A folder of the manifest that lacks files."""
    home = tree.board.files[0].rpartition("/")[0].rpartition("/")[0] + "/faster-whisper-tiny"
    tree.put(f"{home}/model.bin", b"\x01")
    tree.say(_with(tree, choice("microphone.asr", "asr", "faster_whisper", {"model": home})))
    _packages(tree, "faster_whisper")


def _wrong_length(tree: Tree) -> None:
    """A voice of the manifest, cut short."""
    home = tree.board.files[0].rpartition("/")[0].rpartition("/")[0] + "/piper-en_US-lessac-medium"
    tree.put(f"{home}/en_US-lessac-medium.onnx", b"\x01")
    voice = choice("speaker.tts", "tts", "piper", {"voice": f"{home}/en_US-lessac-medium.onnx"})
    tree.say(_with(tree, voice))
    _packages(tree, "piper")


def _never_together(tree: Tree) -> None:
    tree.put(RKLLM, rkllm("1.3.0"))
    tree.put(RKNN, rknn("2.3.0"))


def _with(tree: Tree, one: Choice) -> Recorded:
    kept = tuple(each for each in tree.said.choices if each.key != one.key)
    return msgspec.structs.replace(tree.said, choices=(*kept, one))


def _packages(tree: Tree, *more: str) -> None:
    assert tree.said.live is not None
    tree.live(packages={**tree.said.live.packages, **dict.fromkeys(more, "1")})


def _no_lite(tree: Tree) -> None:
    """Not the engine's fault: rknn is chosen and its package is what is missing."""
    assert tree.said.live is not None
    tree.live(packages={name: v for name, v in tree.said.live.packages.items() if name != "rknnlite"})


def _new_python(tree: Tree) -> None:
    _no_lite(tree)
    tree.live(python=(3, 13))


def _memory(total: int, available: int) -> Callable[[Tree], None]:
    text = f"MemTotal: {total} kB\nMemAvailable: {available} kB\nSwapTotal: 100 kB\n"
    return lambda tree: tree.put("/proc/meminfo", text)


def _clock(device: str, governor: str) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        name = tree.board.npu if device == "npu" else device
        tree.put(f"/sys/class/devfreq/{name}/governor", governor)

    return change


def _nothing_hears(tree: Tree) -> None:
    tree.choose(2, engine="auto", order=("sherpa_onnx", "pocketsphinx"), tables={})


def _no_encoder(tree: Tree) -> None:
    tree.choose(1, engine="auto", order=("onnx", "none"), tables={"none": {}})


FAULTS: dict[str, Fault] = {
    "an SoC that no engine knows": ("soc.other", _other_soc),
    "settings for another SoC": (
        "soc.settings",
        lambda tree: tree.choose(0, tables={"rkllm": {"model": tree.board.files[0], "soc": "rk3562"}}),
    ),
    "an old vendor kernel": ("kernel.old", lambda tree: tree.put(RELEASE, "6.1.43-rockchip-rk3588\n")),
    "an old vendor kernel 5.10": ("kernel.old", lambda tree: tree.put(RELEASE, "5.10.160\n")),
    "a newer kernel with rknpu": ("kernel.untried", lambda tree: tree.put(RELEASE, "6.12.1\n")),
    "a mainline kernel": ("kernel.mainline", _mainline),
    "the mainline driver": ("kernel.rocket", _rocket),
    "an old driver": ("driver.old", lambda tree: tree.put("/proc/rknpu/version", "RKNPU driver: v0.9.6\n")),
    "no driver": ("driver.missing", _without_driver),
    "no device file": ("device.missing", lambda tree: tree.live(nodes=())),
    "no right to the device": ("device.denied", lambda tree: tree.live(nodes=(Node(path=NODE, group="render"),))),
    "somebody on the NPU": ("load.busy", lambda tree: tree.put("/proc/rknpu/load", "NPU load:  Core0: 97%,")),
    "a warm board": ("temperature.warm", lambda tree: tree.put("/sys/class/thermal/thermal_zone6/temp", "79000\n")),
    "a hot board": ("temperature.hot", lambda tree: tree.put("/sys/class/thermal/thermal_zone6/temp", "93000\n")),
    "no librkllmrt": ("library.missing", _without_library(RKLLM)),
    "no librknnrt": ("library.missing", _without_library(RKNN)),
    "librknnrt elsewhere": ("library.elsewhere", _without_library(RKNN, "/usr/local/lib/librknnrt.so")),
    "a pointer for librkllmrt": ("library.damaged", lambda tree: tree.put(RKLLM, LFS)),
    "a web page for librknnrt": ("library.damaged", lambda tree: tree.put(RKNN, "<!DOCTYPE html>")),
    "librkllmrt cut short": ("library.damaged", lambda tree: tree.put(RKLLM, rkllm("1.2.3")[:700])),
    "librkllmrt for 32 bits": ("library.machine", lambda tree: tree.put(RKLLM, rkllm("1.2.3", "armv7l"))),
    "librknnrt for a PC": ("library.machine", lambda tree: tree.put(RKNN, rknn("2.3.2", "x86_64"))),
    "librkllmrt that nobody knows": ("library.unknown", lambda tree: tree.put(RKLLM, rkllm("1.3.0", said="1.9.0"))),
    "librkllmrt too old for the model": ("fit.model", lambda tree: tree.put(RKLLM, rkllm("1.2.1"))),
    "librknnrt too old for the model": ("fit.model", lambda tree: tree.put(RKNN, rknn("2.2.0"))),
    "libraries that nobody has seen together": (
        "fit.pair",
        _never_together,
    ),
    "another rknn-toolkit-lite2": (
        "fit.lite",
        lambda tree: tree.live(packages={**tree.said.live.packages, "rknnlite": "2.2.0"} if tree.said.live else {}),
    ),
    "no rknn-toolkit-lite2": ("lite.missing", _no_lite),
    "a Python without it": ("lite.python", _new_python),
    "no libgomp": ("gomp.missing", lambda tree: tree.drop("/usr/lib/aarch64-linux-gnu/libgomp.so.1")),
    "an engine that is not installed": ("engine.package", lambda tree: tree.choose(2, engine="sherpa_onnx")),
    "nothing that hears": ("engine.none", _nothing_hears),
    "nothing that sees": ("engine.blind", _no_encoder),
    "no language model": ("model.missing", _model(0, None)),
    "no model at the setting's place": ("model.nowhere", _elsewhere),
    "an empty model": ("model.empty", _model(0, b"")),
    "a pointer for the model": ("model.pointer", _model(0, LFS)),
    "a pointer for the encoder": ("model.pointer", _model(1, LFS)),
    "no RKNN model": ("model.magic", _model(1, b"<!DOCTYPE html>")),
    "a model for the other SoC": ("model.soc", _for_another),
    "a model folder without weights": ("model.nothing", _without_weights),
    "half a model": ("model.partial", _half),
    "a model of the wrong length": ("model.length", _wrong_length),
    "too little memory": ("memory.small", _memory(400_000, 300_000)),
    "memory that is taken": ("memory.full", _memory(16_000_000, 300_000)),
    "a CPU that slows down": ("clock.loose", lambda tree: tree.put(f"{CPU0}/scaling_governor", "schedutil\n")),
    "an NPU that slows down": ("clock.loose", _clock("npu", "rknpu_ondemand\n")),
    "memory that slows down": ("clock.loose", _clock("dmc", "dmc_ondemand\n")),
    "an NPU that is held back": (
        "clock.capped",
        lambda tree: tree.put(f"/sys/class/devfreq/{tree.board.npu}/max_freq", "600000000\n"),
    ),
    "eager swapping": ("swap.eager", lambda tree: tree.put("/proc/sys/vm/swappiness", "60\n")),
    "late writing": ("dirty.late", lambda tree: tree.put("/proc/sys/vm/dirty_ratio", "20\n")),
    "few open files": ("files.few", lambda tree: tree.put("/proc/self/limits", "Max open files  1024  4096  files")),
    "a runtime directory that others enter": (
        "folder.open",
        lambda tree: tree.live(runtime=Folder(path="/run/ea", state="open", mode=0o755)),
    ),
    "somebody else's NPU lock": (
        "folder.foreign",
        lambda tree: tree.live(npu=Folder(path="/tmp/ea-npu-0", state="foreign")),
    ),
    "a runtime directory that cannot be written": (
        "folder.closed",
        lambda tree: tree.live(runtime=Folder(path="/run/ea", state="closed")),
    ),
    "a door without a token": (
        "door.token",
        lambda tree: tree.live(door=Door(host="0.0.0.0", port=8765, wide=True, secure=True, why="there is no token")),
    ),
    "a door without TLS": (
        "door.plain",
        lambda tree: tree.live(door=Door(host="0.0.0.0", port=8765, wide=True)),
    ),
    "no microphone": (
        "opened.closed",
        lambda tree: tree.say(
            msgspec.structs.replace(
                tree.said,
                opened=(Opened(kind="sound", name="", problem="no microphone", fatal=True), tree.said.opened[1]),
            )
        ),
    ),
    "a dark camera": (
        "opened.doubtful",
        lambda tree: tree.say(
            msgspec.structs.replace(
                tree.said, opened=(tree.said.opened[0], Opened(kind="camera", name="/dev/video0", problem="it is dark"))
            )
        ),
    ),
}
