"""Shared libraries made by hand: a header, a table of exported names, and whatever bytes a test wants inside."""

import struct
from collections.abc import Iterable

from pipelines.npu import elf

NUMBERS = {name: number for number, name in elf.MACHINES.items()}


def make(exports: Iterable[str], inside: bytes = b"", machine: str = "", bits: int = 64, order: str = "<") -> bytes:
    """``machine`` empty: this host's. One undefined symbol, ``imported``, is always among them."""
    strings, symbols = b"\0", [(0, 0)]
    for name, index in [("imported", 0), *((name, 7) for name in exports)]:
        symbols.append((len(strings), index))
        strings += name.encode() + b"\0"
    entry = (lambda n, i: (n, 0, 0, i, 0, 0)) if bits == 64 else (lambda n, i: (n, 0, 0, 0, 0, i))
    table = b"".join(struct.pack(order + elf.LAYOUTS[bits].symbol, *entry(name, index)) for name, index in symbols)
    head = 64 if bits == 64 else 52
    body = inside + table + strings
    sections = [
        (0, 0, 0, 0),
        (elf.DYNSYM, head + len(inside), len(table), 2),
        (3, head + len(inside) + len(table), len(strings), 0),
    ]
    form = "IIQQQQIIQQ" if bits == 64 else "IIIIIIIIII"
    entries = b"".join(struct.pack(order + form, 0, kind, 0, 0, at, n, link, 0, 0, 0) for kind, at, n, link in sections)
    identity = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1]) + bytes(9)
    wide = "QQQ" if bits == 64 else "III"
    rest = struct.pack(
        order + "HHI" + wide + "IHHHHHH",
        *(3, NUMBERS[machine or elf.host()], 1, 0, 0, head + len(body), 0, head, 0, 0),
        *(struct.calcsize(order + form), len(sections), 2),
    )
    return identity + rest + body + entries
