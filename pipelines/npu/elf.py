"""What a shared library is for and what it exports, read from its bytes: loading it would already run its code."""

import platform
import struct
import sys
from typing import NamedTuple

from pipelines.engine import EngineError

# e_machine of the ELF specification's processor supplements, under the names that platform.machine() gives.
MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
SAME = {"amd64": "x86_64", "arm64": "aarch64", "armv8l": "armv7l", "i386": "i686"}
DYNSYM = 11  # sh_type
UNDEFINED = 0  # st_shndx of a symbol that is wanted, not exported


class Elf(NamedTuple):
    machine: str
    bits: int
    exports: frozenset[str]


class _Layout(NamedTuple):
    """Where the fields lie: (format, offset) in a file of 32 or of 64 bits."""

    header: tuple[str, int]  # e_shoff
    sections: tuple[str, int]  # e_shentsize, e_shnum
    section: tuple[str, int]  # sh_offset, sh_size, sh_link after name and type
    symbol: str
    name_and_index: tuple[int, int]  # of st_name and st_shndx in a symbol


LAYOUTS = {
    32: _Layout(("I", 32), ("HH", 46), ("III", 16), "IIIBBH", (0, 5)),
    64: _Layout(("Q", 40), ("HH", 58), ("QQI", 24), "IBBHQQ", (0, 3)),
}


def host() -> str:
    """The architecture that this process can load, by the name in MACHINES."""
    machine = platform.machine().lower()
    name = SAME.get(machine, machine)
    narrow = {"aarch64": "armv7l", "x86_64": "i686"}
    return name if sys.maxsize > 2**32 else narrow.get(name, name)


def read(data: bytes, where: str) -> Elf:
    """``where`` names the file in errors. Raises EngineError for what is no shared library, or is cut short."""
    if data[:4] != b"\x7fELF":
        raise EngineError(f"{where} is not a shared library (it begins with {data[:4]!r}); install the real file")
    try:
        bits = {1: 32, 2: 64}[data[4]]
        order = {1: "<", 2: ">"}[data[5]]
        machine = struct.unpack_from(order + "H", data, 18)[0]
        return Elf(MACHINES.get(machine, f"machine {machine}"), bits, _exports(data, order, LAYOUTS[bits]))
    except (struct.error, KeyError, IndexError, ValueError) as error:
        raise EngineError(f"{where} is a damaged or truncated library ({error}); install it again") from error


def _exports(data: bytes, order: str, layout: _Layout) -> frozenset[str]:
    (table,) = _at(data, order, layout.header)
    size, count = _at(data, order, layout.sections)
    if not table or table + size * count > len(data):
        raise ValueError("its table of sections lies beyond the end of the file")
    for index in range(count):
        section = table + index * size
        if struct.unpack_from(order + "I", data, section + 4)[0] == DYNSYM:
            start, length, link = _at(data, order, layout.section, section)
            names, _, _ = _at(data, order, layout.section, table + link * size)
            return _names(data[start : start + length], data[names:], order + layout.symbol, layout.name_and_index)
    raise ValueError("it exports nothing")


def _names(symbols: bytes, strings: bytes, form: str, fields: tuple[int, int]) -> frozenset[str]:
    name, index = fields
    found = set()
    for entry in struct.iter_unpack(form, symbols):
        if entry[index] != UNDEFINED:
            end = strings.index(b"\0", entry[name])
            found.add(strings[entry[name] : end].decode("ascii", "replace"))
    return frozenset(found)


def _at(data: bytes, order: str, field: tuple[str, int], base: int = 0) -> tuple[int, ...]:
    form, offset = field
    return struct.unpack_from(order + form, data, base + offset)
