"""How a board is set for speed: clocks, swapping, open files; and the commands that change it, each with its undo.

They are shown and never run: an owner decides about heat and power. Nothing read from a file reaches a command
unless it is a plain word or number (parse.py, and names of devices here).
"""

import re
from collections.abc import Iterator

import msgspec

from assistant.core.doctor.facts import Facts, Governor
from assistant.core.doctor.finding import Check, Values, Verdict, Verdicts

OPEN_FILES = 102_400  # what the vendor's server sets; below, RKLLM was seen to run out (rknn-llm #17, #62)
FIXED = ("performance", "userspace")  # governors that do not let the clock go down by themselves
SWAPPINESS = (
    10  # the kernel's 60 lets speech models be swapped out while the assistant waits: then the next word is slow
)
DIRTY = (5, 10)  # percent, background and foreground; the kernel's 10 and 20 are 0.8 and 1.6 GB of late writing on 8 GB
DEVICE = re.compile(r"/sys/(class/devfreq|devices/system/cpu/cpufreq)/[\w.:-]{1,64}")


class Command(msgspec.Struct, frozen=True):
    """``do`` changes it until the next boot, ``undo`` restores what was found."""

    check: str
    do: str
    undo: str


def open_files(facts: Facts) -> Verdicts:
    if facts.open_files is None:
        yield Verdict("files.unseen")
    else:
        case = "files.ok" if facts.open_files >= OPEN_FILES else "files.few"
        yield Verdict(case, {"have": facts.open_files, "wanted": OPEN_FILES})


def cpu(facts: Facts) -> Verdicts:
    yield from _clock(facts, "cpu")


def npu(facts: Facts) -> Verdicts:
    yield from _clock(facts, "npu")


def ddr(facts: Facts) -> Verdicts:
    yield from _clock(facts, "ddr")


def _clock(facts: Facts, kind: str) -> Verdicts:
    mine = [each for each in facts.governors if each.kind == kind and each.governor]
    loose = [each for each in mine if each.governor not in FIXED]
    capped = [each for each in mine if 0 < each.limit < each.top]
    names = ", ".join(dict.fromkeys(each.governor for each in loose or mine))
    if not mine:
        yield Verdict("clock.unseen", {"kind": kind.upper()})
    elif loose:
        yield Verdict("clock.loose", {"kind": kind.upper(), "governor": names})
    elif capped:
        one = capped[0]
        yield Verdict(
            "clock.capped", {"kind": kind.upper(), "limit": _told(one, one.limit), "top": _told(one, one.top)}
        )
    else:
        yield Verdict("clock.ok", {"kind": kind.upper(), "governor": names})


def _told(one: Governor, frequency: int) -> str:
    """Cpufreq counts in kHz, devfreq in Hz."""
    return f"{frequency // (1000 if one.kind == 'cpu' else 1_000_000)} MHz"


def swappiness(facts: Facts) -> Verdicts:
    swap = facts.memory_kb.get("SwapTotal")
    if facts.swappiness is None:
        yield Verdict("swap.unseen")
    elif swap == 0:
        yield Verdict("swap.none")
    else:
        case = "swap.ok" if facts.swappiness <= SWAPPINESS else "swap.eager"
        yield Verdict(case, {"have": facts.swappiness, "wanted": SWAPPINESS})


def dirty(facts: Facts) -> Verdicts:
    background, foreground = facts.dirty
    if background is None or foreground is None:
        yield Verdict("dirty.unseen")
        return
    fine = background <= DIRTY[0] and foreground <= DIRTY[1]
    told: Values = {"background": background, "foreground": foreground, "wanted": f"{DIRTY[0]} / {DIRTY[1]}"}
    yield Verdict("dirty.ok" if fine else "dirty.late", told)


def commands(facts: Facts) -> Iterator[Command]:
    """For everything that is not tuned yet, in the order of the checks."""
    for one in facts.governors:
        if not one.governor or not DEVICE.fullmatch(one.path):
            continue
        check = f"{one.kind}-clock"
        if one.governor not in FIXED and (not one.offered or "performance" in one.offered):
            yield _write(check, f"{one.path}/{one.file}", "performance", one.governor)
        if 0 < one.limit < one.top:
            name = "scaling_max_freq" if one.kind == "cpu" else "max_freq"
            yield _write(check, f"{one.path}/{name}", str(one.top), str(one.limit))
    background, foreground = facts.dirty
    for check, key, have, wanted in (
        ("swappiness", "vm.swappiness", facts.swappiness, SWAPPINESS),
        ("dirty-pages", "vm.dirty_background_ratio", background, DIRTY[0]),
        ("dirty-pages", "vm.dirty_ratio", foreground, DIRTY[1]),
    ):
        if have is not None and have > wanted and not (check == "swappiness" and facts.memory_kb.get("SwapTotal") == 0):
            yield Command(check, f"sudo sysctl -w {key}={wanted}", f"sudo sysctl -w {key}={have}")
    if facts.open_files is not None and facts.open_files < OPEN_FILES:
        yield Command("open-files", f"ulimit -n {OPEN_FILES}", f"ulimit -Sn {facts.open_files}")


def _write(check: str, path: str, wanted: str, have: str) -> Command:
    return Command(check, f"echo {wanted} | sudo tee {path}", f"echo {have} | sudo tee {path}")


CHECKS = (
    Check("cpu-clock", "tuning", True, cpu),
    Check("npu-clock", "tuning", True, npu),
    Check("ddr-clock", "tuning", True, ddr),
    Check("swappiness", "tuning", True, swappiness),
    Check("dirty-pages", "tuning", True, dirty),
    Check("open-files", "tuning", True, open_files),
)
