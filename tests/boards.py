"""Boards as directory trees: what a healthy RK3588 and RK3576 shows of itself, written down from tables.

The texts are as the vendor's kernels give them (drm uevent: rknn-toolkit2 issue 534; load and version: the vendor's
debugfs and procfs). The libraries are real ELF files that export what the releases do.
"""

import shutil
from pathlib import Path
from typing import NamedTuple

import msgspec

from assistant import paths
from assistant.checkup import record
from assistant.checkup.record import Recorded
from assistant.core.doctor.facts import Choice, Door, Folder, Live, Node, Opened
from pipelines.llm.librkllm import ABI
from tests.pipelines.npu import elves

GOVERNORS = "rknpu_ondemand dmc_ondemand userspace powersave performance simple_ondemand\n"
NODE = "/dev/dri/renderD129"
RKLLM, RKNN = "/usr/lib/librkllmrt.so", "/usr/lib/librknnrt.so"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2040109465\n"


class Board(NamedTuple):
    soc: str
    compatible: str
    npu: str  # its device
    load: str
    model: str  # of the manifest: its folder
    memory_kb: int

    @property
    def files(self) -> tuple[str, str]:
        """The language model and the image encoder."""
        home = f"{paths.user_models()}/{self.model}"
        return f"{home}/own_{self.soc}.rkllm", f"{home}/own_vision_{self.soc}.rknn"


RK3588 = Board(
    "rk3588",
    "radxa,rock-5b\0rockchip,rk3588\0",
    "fdab0000.npu",
    "NPU load:  Core0:  0%, Core1:  0%, Core2:  0%,\n",
    "Qwen3-VL-2B-rk3588",
    8_000_000,
)
RK3576 = Board(
    "rk3576",
    "armsom,cm5-io\0rockchip,rk3576\0",
    "27700000.npu",
    "NPU load:  Core0:  0%, Core1:  0%,\n",
    "SmolVLM-256M-rk3588",
    4_000_000,
)
BOARDS = {board.soc: board for board in (RK3588, RK3576)}


def rkllm(version: str, machine: str = "aarch64", said: str = "") -> bytes:
    text = b"\0I rkllm: rkllm-runtime version: " + (said or version).encode() + b", rknpu driver version: %s\0"
    return elves.make(ABI[version].functions, text, machine)


def rknn(version: str, machine: str = "aarch64") -> bytes:
    text = f"\0librknnrt version: {version} (429f97ae6b@2025-04-09T09:09:27)\0".encode()
    return elves.make(["rknn_init", "rknn_run"], text, machine)


def texts(board: Board) -> dict[str, str]:
    cpus, devfreq = "/sys/devices/system/cpu/cpufreq", "/sys/class/devfreq"
    return {
        "/proc/device-tree/compatible": board.compatible,
        "/proc/device-tree/model": f"A board with {board.soc}\0",
        "/proc/sys/kernel/osrelease": "6.1.84-vendor-rk35xx\n",
        "/proc/rknpu/version": "RKNPU driver: v0.9.8\n",
        "/proc/rknpu/load": board.load,
        "/sys/class/drm/renderD129/device/uevent": f"DRIVER=RKNPU\nOF_COMPATIBLE_0=rockchip,{board.soc}-rknpu\n",
        "/sys/class/drm/card0/device/uevent": "DRIVER=rockchip-drm\nOF_COMPATIBLE_0=rockchip,display-subsystem\n",
        "/proc/meminfo": f"MemTotal: {board.memory_kb} kB\nMemAvailable: {board.memory_kb - 700_000} kB\n"
        "SwapTotal: 2000000 kB\n",
        "/proc/self/limits": "Limit  Soft Limit  Hard Limit  Units\nMax open files            102400               "
        "1048576              files     \n",
        "/proc/sys/vm/swappiness": "10\n",
        "/proc/sys/vm/dirty_background_ratio": "5\n",
        "/proc/sys/vm/dirty_ratio": "10\n",
        **{
            f"{cpus}/policy{number}/{name}": text
            for number in (0, 4)
            for name, text in {
                "scaling_governor": "performance\n",
                "scaling_available_governors": "ondemand performance schedutil\n",
                "scaling_max_freq": "2208000\n",
                "cpuinfo_max_freq": "2208000\n",
            }.items()
        },
        **{
            f"{devfreq}/{device}/{name}": text
            for device, top in ((board.npu, 1_000_000_000), ("dmc", 2_112_000_000))
            for name, text in {
                "governor": "performance\n",
                "available_governors": GOVERNORS,
                "max_freq": f"{top}\n",
                "available_frequencies": f"528000000 {top}\n",
            }.items()
        },
        "/sys/class/thermal/thermal_zone0/type": "soc-thermal\n",
        "/sys/class/thermal/thermal_zone0/temp": "45307\n",
        "/sys/class/thermal/thermal_zone6/type": "npu-thermal\n",
        "/sys/class/thermal/thermal_zone6/temp": "46230\n",
    }


def recorded(board: Board) -> Recorded:
    """What such a board's recording says that no file does."""
    llm, encoder = board.files
    return Recorded(
        live=Live(
            machine="aarch64",
            python=(3, 11),
            packages={"rknnlite": "2.3.2", "onnxruntime": "1.24", "pocketsphinx": "5", "espeakng_loader": ""},
            nodes=(Node(path=NODE, group="render", usable=True),),
            runtime=Folder(path="/run/edge-assistant"),
            npu=Folder(path="/run/edge-assistant-npu"),
            door=Door(host="127.0.0.1", port=8765),
        ),
        choices=(
            choice("dialogue.llm", "llm", "rkllm", {"model": llm, "soc": board.soc}),
            choice("vision.encoder", "vision", "rknn", {"model": encoder, "soc": board.soc}),
            choice("microphone.asr", "asr", "pocketsphinx", {}),
            choice("speaker.tts", "tts", "espeak", {}),
        ),
        opened=(Opened(kind="sound", name="a headset"), Opened(kind="camera", name="/dev/video0")),
    )


def choice(key: str, role: str, engine: str, table: dict[str, str]) -> Choice:
    return Choice(key=key, role=role, engine=engine, order=(engine,), tables={engine: table})


class Tree:
    """A board's directory, and how a test changes it."""

    def __init__(self, root: Path, board: Board) -> None:
        self.root, self.board = root, board
        for path, text in texts(board).items():
            self.put(path, text)
        self.put(RKLLM, rkllm("1.2.3"))
        self.put(RKNN, rknn("2.3.2"))
        self.put("/usr/lib/aarch64-linux-gnu/libgomp.so.1", b"")
        self.put(board.files[0], b"\x01" * 200)
        self.put(board.files[1], b"RKNN\0\0\0\0\x06" + bytes(100))
        self.say(recorded(board))

    def place(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def put(self, path: str, content: str | bytes) -> None:
        place = self.place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    def drop(self, path: str) -> None:
        place = self.place(path)
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    def block(self, path: str) -> None:
        """A directory where a file should be: what not even root can read."""
        self.place(path).unlink(missing_ok=True)
        self.place(path).mkdir(parents=True)

    def loop(self, path: str) -> None:
        """A link to itself in its place."""
        self.drop(path)
        self.place(path).symlink_to(self.place(path).name)

    def say(self, said: Recorded) -> None:
        self.said = said
        (self.root / record.FILE).write_bytes(msgspec.json.encode(said))

    def live(self, **changes: object) -> None:
        """Another answer of the running machine."""
        assert self.said.live is not None
        self.say(msgspec.structs.replace(self.said, live=msgspec.structs.replace(self.said.live, **changes)))

    def choose(self, index: int, **changes: object) -> None:
        """Another choice of an engine."""
        choices = list(self.said.choices)
        choices[index] = msgspec.structs.replace(choices[index], **changes)
        self.say(msgspec.structs.replace(self.said, choices=tuple(choices)))

    def files(self) -> list[str]:
        return sorted(f"/{path.relative_to(self.root)}" for path in self.root.rglob("*") if path.is_file())
