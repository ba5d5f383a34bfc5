"""Libraries are read without being loaded; what is none, or is cut short, is said so."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine import EngineError
from pipelines.npu import elf
from tests.pipelines.npu import elves


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("machine", "bits"), [("aarch64", 64), ("x86_64", 64), ("armv7l", 32), ("riscv64", 64)])
def test_machine_and_exports(machine: str, bits: int, order: str) -> None:
    data = elves.make(["one", "two_2"], machine=machine, bits=bits, order=order)
    assert elf.read(data, "x.so") == elf.Elf(machine, bits, frozenset({"one", "two_2"}))


def test_a_real_library_is_read() -> None:
    import _ctypes

    with open(_ctypes.__file__, "rb") as file:
        found = elf.read(file.read(), _ctypes.__file__)
    assert found.machine == elf.host()
    assert "PyInit__ctypes" in found.exports
    assert "malloc" not in found.exports  # wanted, not given


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh", b"version https://git-lfs.github.com/spec/v1\n"])
def test_what_is_no_library_is_said_so(data: bytes) -> None:
    with pytest.raises(EngineError, match=r"x\.so is not a shared library"):
        elf.read(data, "x.so")


@given(st.integers(4, len(elves.make(["one"])) - 1))
def test_a_library_cut_short_anywhere_is_refused(length: int) -> None:
    with pytest.raises(EngineError, match=r"x\.so is a damaged or truncated library"):
        elf.read(elves.make(["one"])[:length], "x.so")


@given(st.integers(0, len(elves.make(["one"])) - 1), st.integers(0, 255))
def test_a_damaged_library_is_read_or_refused_and_never_worse(at: int, value: int) -> None:
    data = bytearray(elves.make(["one"]))
    data[at] = value
    with contextlib.suppress(EngineError):
        elf.read(bytes(data), "x.so")
