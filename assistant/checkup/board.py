"""What the kernel shows of board, NPU, clocks and memory."""

from typing import Any

from assistant.checkup.tree import Tree
from assistant.core.doctor import parse
from assistant.core.doctor.facts import Governor, Zone

# Where rknpu says its version: for everybody first. dmesg is not asked, it is often root's alone.
VERSIONS = ("/proc/rknpu/version", "/sys/module/rknpu/version", "/sys/kernel/debug/rknpu/version")
LOADS = ("/proc/rknpu/load", "/sys/kernel/debug/rknpu/load")
UEVENTS = ("/sys/class/drm/*/device/uevent", "/sys/class/accel/*/device/uevent", "/sys/class/misc/rknpu/device/uevent")
DEVFREQ = {"npu": "/sys/class/devfreq/*npu*", "ddr": "/sys/class/devfreq/*dmc*"}
CPUFREQ = "/sys/devices/system/cpu/cpufreq/policy*"


def look(tree: Tree) -> dict[str, Any]:
    """Fields of ``Facts``."""
    meminfo = parse.memory(tree.text("/proc/meminfo"))
    drivers, npu_compatible = _drivers(tree)
    return {
        "compatible": parse.strings(tree.text("/proc/device-tree/compatible")),
        "board": "".join(parse.strings(tree.text("/proc/device-tree/model"))[:1]),
        "kernel": tree.text("/proc/sys/kernel/osrelease").strip(),
        "drivers": drivers,
        "npu_compatible": npu_compatible,
        "driver": _first(tree, VERSIONS),
        "load": _first(tree, LOADS),
        "open_files": parse.open_files(tree.text("/proc/self/limits")),
        "memory_kb": meminfo,
        "governors": (*_cpus(tree), *_devices(tree)),
        "swappiness": parse.number(tree.text("/proc/sys/vm/swappiness"), 0, 200),
        "dirty": (
            parse.number(tree.text("/proc/sys/vm/dirty_background_ratio"), 0, 100),
            parse.number(tree.text("/proc/sys/vm/dirty_ratio"), 0, 100),
        ),
        "zones": tuple(
            Zone(
                type=tree.text(f"{zone}/type").strip() or zone.rpartition("/")[2],
                celsius=parse.celsius(tree.text(f"{zone}/temp")),
            )
            for zone in tree.names("/sys/class/thermal/thermal_zone*")
        ),
    }


def nodes(tree: Tree) -> list[str]:
    """Device files of the NPU, by their driver: the numbers vary from board to board."""
    found = [
        f"/dev/dri/{uevent.split('/')[4]}"
        for uevent in tree.names(UEVENTS[0])
        if parse.fields(tree.text(uevent), "=").get("DRIVER") == "RKNPU"
    ]
    return [*found, "/dev/rknpu"]


def _drivers(tree: Tree) -> tuple[tuple[str, ...], str]:
    """Drivers of graphics and accelerator devices, and what the NPU's device calls itself."""
    found, compatible = dict[str, None](), ""
    for pattern in UEVENTS:
        for path in tree.names(pattern):
            said = parse.fields(tree.text(path), "=")
            if name := said.get("DRIVER", ""):
                found[name] = None
            if name == "RKNPU":
                compatible = said.get("OF_COMPATIBLE_0", "")
    if tree.names("/sys/module/rknpu"):
        found["RKNPU"] = None
    return tuple(found), compatible


def _first(tree: Tree, paths: tuple[str, ...]) -> str:
    return next(filter(None, (tree.text(path).strip() for path in paths)), "")


def _cpus(tree: Tree) -> list[Governor]:
    return [
        Governor(
            kind="cpu",
            path=policy,
            file="scaling_governor",
            governor=parse.governor(tree.text(f"{policy}/scaling_governor")),
            offered=tuple(tree.text(f"{policy}/scaling_available_governors").split()),
            limit=parse.number(tree.text(f"{policy}/scaling_max_freq")) or 0,
            top=parse.number(tree.text(f"{policy}/cpuinfo_max_freq")) or 0,
        )
        for policy in tree.names(CPUFREQ)
    ]


def _devices(tree: Tree) -> list[Governor]:
    return [
        Governor(
            kind=kind,
            path=device,
            file="governor",
            governor=parse.governor(tree.text(f"{device}/governor")),
            offered=tuple(tree.text(f"{device}/available_governors").split()),
            limit=parse.number(tree.text(f"{device}/max_freq")) or 0,
            top=max(parse.frequencies(tree.text(f"{device}/available_frequencies")), default=0),
        )
        for kind, pattern in DEVFREQ.items()
        for device in tree.names(pattern)
    ]
