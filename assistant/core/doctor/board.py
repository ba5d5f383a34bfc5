"""SoC, kernel, driver, device, load and temperature: what of the NPU is no file of ours."""

import re
from collections.abc import Mapping

from assistant.core.doctor import parse
from assistant.core.doctor.facts import Facts
from assistant.core.doctor.finding import Check, Verdict, Verdicts
from assistant.core.doctor.parse import Version

NPU_ENGINES = frozenset({"rkllm", "rknn"})
RKNPU, ROCKET = "RKNPU", "rocket"  # as the vendor's and the mainline kernel's drivers call themselves in /sys

# The vendor's kernels, by series, from which on no trouble is known; and one below that was seen to work.
RECOMMENDED: dict[Version, Version] = {(5, 10): (5, 10, 209), (6, 1): (6, 1, 84)}
SEEN: tuple[Version, ...] = ((6, 1, 75),)
DRIVER = (0, 9, 8)  # what RKLLM 1.2 and its models ask for
BUSY = 90  # percent: somebody else works
GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,31}")  # what useradd allows: it is put into a command
WARM, HOT = 75.0, 85.0  # degrees C: the passive trips of RK3588's device tree, where clocks go down


def known(facts: Facts) -> str:
    """The SoC as our engines call it; "" for none of theirs."""
    return next(filter(None, map(parse.soc, (*facts.compatible, facts.npu_compatible))), "")


def has_npu(facts: Facts) -> bool:
    return bool(known(facts)) or RKNPU in facts.drivers or ROCKET in facts.drivers or any(_rockchip(facts))


def soc(facts: Facts) -> Verdicts:
    found, board = known(facts), facts.board or (facts.compatible[0] if facts.compatible else "")
    if found:
        wrong = [(choice.key, name, said) for choice in facts.choices for name, said in _socs(choice.tables, found)]
        for key, name, said in wrong:
            yield Verdict("soc.settings", {"soc": found, "key": f"{key}.{name}.soc", "said": said})
        if not wrong:
            yield Verdict("soc.ok", {"soc": found, "board": board or found})
    elif other := next(iter(_rockchip(facts)), ""):
        yield Verdict("soc.other", {"soc": other})
    elif facts.engines & NPU_ENGINES:
        yield Verdict("soc.none", {"engines": ", ".join(sorted(facts.engines & NPU_ENGINES)), "board": board or "?"})
    else:
        yield Verdict("soc.pc", {"board": board or (facts.live.machine if facts.live else "") or "?"})


def kernel(facts: Facts) -> Verdicts:
    release = parse.version(facts.kernel)
    told = {"kernel": facts.kernel}
    if ROCKET in facts.drivers:
        yield Verdict("kernel.rocket", told)
    elif not release:
        yield Verdict("kernel.unknown")
    elif release[:2] not in RECOMMENDED:
        yield Verdict("kernel.untried" if RKNPU in facts.drivers else "kernel.mainline", told)
    elif release >= RECOMMENDED[release[:2]]:
        yield Verdict("kernel.ok", told)
    else:
        wanted = ".".join(map(str, RECOMMENDED[release[:2]]))
        yield Verdict("kernel.seen" if release in SEEN else "kernel.old", {**told, "wanted": wanted})


def driver(facts: Facts) -> Verdicts:
    wanted = ".".join(map(str, DRIVER))
    found = parse.driver(facts.driver)
    if found:
        case = "driver.ok" if parse.version(found) >= DRIVER else "driver.old"
        yield Verdict(case, {"version": found, "wanted": wanted})
    elif RKNPU in facts.drivers:
        yield Verdict("driver.unknown", {"wanted": wanted})
    elif ROCKET in facts.drivers or parse.version(facts.kernel)[:2] not in RECOMMENDED:
        yield Verdict("driver.kernel")  # which is said to be the wrong one already
    else:
        yield Verdict("driver.missing", {"kernel": facts.kernel})


def device(facts: Facts) -> Verdicts:
    if facts.live is None:
        yield Verdict("device.unseen")
    elif not facts.live.nodes:
        there = RKNPU in facts.drivers or parse.driver(facts.driver)
        yield Verdict("device.missing" if there else "device.driver")
    elif usable := [node.path for node in facts.live.nodes if node.usable]:
        yield Verdict("device.ok", {"path": ", ".join(usable)})
    else:
        groups = sorted({node.group for node in facts.live.nodes if GROUP.fullmatch(node.group)} - {"root"})
        paths = ", ".join(node.path for node in facts.live.nodes)
        yield Verdict("device.denied", {"path": paths, "groups": ",".join(groups) or "render,video"})


def load(facts: Facts) -> Verdicts:
    found = parse.loads(facts.load)
    text = ", ".join(f"{each} %" for each in found)
    if found:
        yield Verdict("load.busy" if max(found) >= BUSY else "load.ok", {"load": text})
    elif facts.load.strip():
        yield Verdict("load.absurd", {"said": " ".join(facts.load.split())[:80]})
    else:
        yield Verdict("load.unseen")


def temperature(facts: Facts) -> Verdicts:
    known_zones = [(zone.celsius, zone.type) for zone in facts.zones if zone.celsius is not None]
    if not known_zones:
        yield Verdict("temperature.unseen")
        return
    celsius, zone = max(known_zones)
    case = "temperature.hot" if celsius >= HOT else "temperature.warm" if celsius >= WARM else "temperature.ok"
    yield Verdict(case, {"celsius": f"{celsius:.0f}", "zone": zone})


def _rockchip(facts: Facts) -> list[str]:
    found = map(parse.ROCKCHIP.match, facts.compatible)
    return [match.group(1) for match in found if match]


def _socs(tables: Mapping[str, Mapping[str, str]], found: str) -> list[tuple[str, str]]:
    """Engines whose option ``soc`` is another one, with what it says."""
    return [(name, table["soc"]) for name, table in tables.items() if table.get("soc", found) != found]


CHECKS = (
    Check("soc", "board", False, soc),
    Check("kernel", "board", True, kernel),
    Check("npu-driver", "board", True, driver),
    Check("npu-device", "board", True, device),
    Check("npu-load", "board", True, load),
    Check("temperature", "board", True, temperature),
)
