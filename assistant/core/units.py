"""systemd units, decided: which sections of a template a service needs, what stands for its marks, what may be removed.

A template is a unit whose sections may be conditional: ``[X-System Offline Service]`` is the section Service, in units
of the system's manager for a service that needs no network (see systemd/common/unit.conf). Source for quoting:
systemd.syntax(7), systemd.unit(5) "Specifiers", systemd.service(5) "Command lines".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from assistant.core.access import loopback

Manager = Literal["system", "user"]
State = Literal["absent", "same", "old", "edited"]

HIDDEN = ("/home/", "/root/", "/run/user/")  # what ProtectHome= hides from a unit
NPU_ENGINES = frozenset({"rknn", "rkllm", "auto"})
BUTTONS = {"evdev": "Keys", "gpio": "Pins"}  # engine -> what it reads

_HEADER = re.compile(r"^\[X-(?P<kinds>[\w ]+) (?P<section>\w+)\]$")
_MARK = re.compile(r"@([a-z]+)@")
_URL = re.compile(r"^(?!file:)[a-z][a-z0-9+.-]*://.", re.IGNORECASE)
_REFUSED = frozenset("$\"\\:'")  # systemd, a list of paths, or Python's own search path takes these for its own


class UnitError(Exception):
    """No unit can be made of this; the text says what to do."""


class Fence(NamedTuple):
    """What a service needs of the machine, by its settings."""

    kinds: frozenset[str]  # Sound, Video, Npu, Keys, Pins; Offline or Network; Local: this machine alone may reach it
    paths: tuple[str, ...]  # files and folders that it reads
    keys: tuple[str, ...]  # names of credentials


def fence(values: Mapping[str, Any], network: bool = False) -> Fence:
    """Read off a service's resolved section. ``network``: it is let onto the network whatever the settings say."""
    kinds, paths, keys = {"Network" if network else "Offline"}, [], []
    for key, value in _chosen(values):
        if key == "engine":
            kinds |= {"Npu"} if value in NPU_ENGINES else {BUTTONS[value]} if value in BUTTONS else set()
        elif key in ("source", "output") and value == "device":
            kinds.add("Sound")
        elif key in ("api_key_file", "token_file") and value and "/" not in value:
            keys.append(value)
        elif key == "host":  # where it is to be reached
            kinds = kinds - {"Offline"} | {"Network"} | ({"Local"} if loopback(value) and not network else set())
        elif key == "source" and (value.startswith("/dev/") or value.isdigit()):
            kinds.add("Video")
        elif _URL.match(value):
            kinds = kinds - {"Offline"} | {"Network"}
        elif value.startswith("/") and not value.startswith("/dev/"):
            paths.append(value)
    return Fence(frozenset(kinds), tuple(dict.fromkeys(paths)), tuple(dict.fromkeys(keys)))


def _chosen(values: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a section with its key; of engines, only of the one that is chosen (of all, where it is auto)."""
    if isinstance(values, str):
        yield key, values
    elif isinstance(values, Mapping):
        engine = values.get("engine")
        for name, inner in values.items():
            if not isinstance(engine, str) or engine in ("auto", name) or name == "engine":
                yield from _chosen(inner, name)
    elif isinstance(values, Sequence):
        for inner in values:
            yield from _chosen(inner, key)


def heeded(template: str) -> frozenset[str]:
    """The kinds that a unit's template has sections for."""
    headers = (_HEADER.match(line) for line in template.splitlines())
    return frozenset(kind for header in headers if header for kind in header["kinds"].split())


def groups(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Group -> the units (name -> text) that are to belong to it."""
    wanted: dict[str, list[str]] = {}
    for name, text in texts.items():
        for line in text.splitlines():
            key, _, value = line.partition("=")
            for group in value.split() if key == "SupplementaryGroups" else ():
                wanted.setdefault(group, []).append(name)
    return wanted


def render(templates: Sequence[str], kinds: frozenset[str], values: Mapping[str, str]) -> str:
    """One unit of several templates: conditional sections taken or left out, marks replaced, empty lines kept single.

    Raises UnitError for a mark that has no value.
    """
    lines: list[str] = []
    for template in templates:
        taken = True
        for line in template.splitlines():
            if line.startswith("["):
                header = _HEADER.match(line)
                taken = header is None or kinds.issuperset(header["kinds"].split())
                line = f"[{header['section']}]" if header else line
            if taken and not line.startswith("#:"):  # a word to who reads the template
                filled = _MARK.sub(lambda mark: _value(values, mark[1]), line) if line[:1] not in "#" else line
                lines += [filled] if filled or not _MARK.fullmatch(line) else []
        lines.append("")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _value(values: Mapping[str, str], name: str) -> str:
    if name not in values:
        raise UnitError(f"a unit's template has the mark @{name}@, for which there is no value")
    return values[name]


def word(text: str) -> str:
    """One word of a systemd command line or list, whatever blanks and percent signs it holds. Raises UnitError."""
    bad = sorted(c for c in set(text) if c in _REFUSED or not c.isprintable())
    if bad:
        raise UnitError(f"{text!r} cannot stand in a systemd unit ({' '.join(map(ascii, bad))}); choose another name")
    doubled = text.replace("%", "%%")
    return f'"{doubled}"' if not text or re.search(r"[\s;#]", text) else doubled


def argument(text: str) -> str:
    """One argument of a command line: unlike a path it may hold quotes and dollar signs. Raises UnitError."""
    if not text.isprintable():
        raise UnitError(f"{text!r} cannot stand in a systemd unit; put it into a settings file")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def hidden(paths: Sequence[str]) -> list[str]:
    """The paths that a unit must be shown in spite of ProtectHome=; none inside another."""
    inside = sorted(dict.fromkeys(path for path in paths if f"{path}/".startswith(HIDDEN)))
    return [path for path in inside if not any(path != other and path.startswith(f"{other}/") for other in inside)]


def state(current: bytes | None, installed: str, wanted: str, digest: str) -> State:
    """What an installed file is. ``digest``: of its bytes now; ``installed``: as it was put there, "" for not by us;
    ``wanted``: as it would be now."""
    if current is None:
        return "absent"
    if digest == wanted:
        return "same"
    return "old" if digest == installed else "edited"
