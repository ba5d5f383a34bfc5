"""The texts of /proc and /sys as facts. Whatever stands in them, nothing here raises: absurd text is an unknown."""

import re
from collections.abc import Mapping

SOC = re.compile(r"rockchip,(rk3588|rk3576|rk3562)")
ROCKCHIP = re.compile(r"rockchip,(r[kv]\d{4}\w*)")
RELEASE = re.compile(r"(\d{1,3})\.(\d{1,4})(?:\.(\d{1,5}))?")
DRIVER = re.compile(r"(?:v|version:? ?|^)(\d{1,3}\.\d{1,3}\.\d{1,3})")
PERCENT = re.compile(r"(\d{1,12})\s*%")
NEED = re.compile(r"\b(rkllm|rknn|driver) >= (\d{1,3}(?:\.\d{1,3}){1,2})")
WORD = re.compile(r"[a-z0-9_]{1,40}")

Version = tuple[int, ...]


def strings(text: str) -> tuple[str, ...]:
    """A property of the device tree: texts, each ended by a NUL."""
    return tuple(part for part in text.split("\0") if part.strip())


def soc(compatible: str) -> str:
    """The SoC whose NPU our engines know, out of one ``compatible`` text; "" for any other."""
    found = SOC.match(compatible)
    return found.group(1) if found else ""


def number(text: str, least: int = 0, most: int = 1 << 40) -> int | None:
    """A whole number within its limits; None for anything else."""
    stripped = text.strip()
    if not re.fullmatch(r"-?[0-9]{1,19}", stripped):
        return None
    value = int(stripped)
    return value if least <= value <= most else None


def version(text: str) -> Version:
    """A version's numbers, () where the text begins with none."""
    found = RELEASE.match(text)
    return tuple(int(part) for part in found.groups("0")) if found else ()


def driver(text: str) -> str:
    """The version in what rknpu says: "RKNPU driver: v0.9.8", or the bare number of /sys/module."""
    found = DRIVER.search(text.strip())
    return found.group(1) if found else ""


def loads(text: str) -> tuple[int, ...]:
    """Percent of each core of the NPU; () where it cannot be: drivers have been seen to say 429496 %."""
    found = tuple(int(each) for each in PERCENT.findall(text))
    return found if all(each <= 100 for each in found) else ()


def fields(text: str, separator: str) -> Mapping[str, str]:
    """Lines of ``name<separator>value``: uevent, meminfo."""
    pairs = (line.partition(separator) for line in text.splitlines())
    return {name.strip(): value.strip() for name, found, value in pairs if found}


def memory(text: str) -> Mapping[str, int]:
    """Of /proc/meminfo, kB."""
    values = {name: number(value.removesuffix("kB")) for name, value in fields(text, ":").items()}
    return {
        name: values[name] or 0 for name in ("MemTotal", "MemAvailable", "SwapTotal") if values.get(name) is not None
    }


def open_files(text: str) -> int | None:
    """The soft limit of open files out of /proc/self/limits; "unlimited" is a big number."""
    found = re.search(r"^Max open files\s+(\d{1,19}|unlimited)", text, re.MULTILINE)
    if found is None:
        return None
    return 1 << 30 if found.group(1) == "unlimited" else number(found.group(1))


def celsius(text: str) -> float | None:
    """Of millidegrees; None for what no sensor can mean."""
    value = number(text, -40_000, 150_000)
    return None if value is None else value / 1000


def governor(text: str) -> str:
    """A governor's name; "" for what is none, for it is put into commands."""
    found = text.strip()
    return found if WORD.fullmatch(found) else ""


def frequencies(text: str) -> tuple[int, ...]:
    found = (number(part, 1) for part in text.split())
    return tuple(each for each in found if each is not None)


def needs(runtime: str) -> Mapping[str, str]:
    """What a manifest entry asks of library and driver: {"rkllm": "1.2.2", …}."""
    return dict(NEED.findall(runtime))
