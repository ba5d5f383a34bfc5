"""Which release a library is: every kind of evidence, and what is refused rather than guessed."""

import hashlib

import pytest

from pipelines.llm import _librkllm_version
from pipelines.llm._librkllm_abi import ABI, VERSIONS
from pipelines.llm._librkllm_version import NEEDED, RELEASED, detect, layout_of
from pipelines.llm.librkllm import RkllmError
from pipelines.npu import elf
from tests.pipelines.npu import elves


def library(version: str, inside: bytes = b"", machine: str = "") -> bytes:
    """A library that exports what the release does."""
    return elves.make(ABI[version].functions, inside, machine)


def said(version: str) -> bytes:
    return b"\0I rkllm: rkllm-runtime version: " + version.encode() + b", rknpu driver version: %s\0"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_library_is_taken_at_its_word(version: str) -> None:
    found = detect(library(version, said(version)), "x.so")
    assert (found.release, found.layout, found.how) == (version, version, "its own text")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_bare_number_will_do_where_it_is_the_only_one(version: str) -> None:
    found = detect(library(version, b"\0" + version.encode() + b"\0"), "x.so")
    assert found.layout == version


def test_old_releases_have_the_layout_of_the_last_of_them() -> None:
    found = detect(library("1.1.4", said("1.1.1")), "x.so")
    assert (found.release, found.layout) == ("1.1.1", "1.1.4")
    assert {layout_of(release) for release in RELEASED.values()} == set(VERSIONS)


def test_symbols_alone_decide_only_for_the_family_that_nothing_else_looks_like() -> None:
    assert detect(library("1.1.4"), "x.so").layout == "1.1.4"
    with pytest.raises(RkllmError, match=r"does not say its version.*fit 1\.2\.0, 1\.2\.1b1\. .*set runtime_version"):
        detect(library("1.2.0"), "x.so")
    with pytest.raises(RkllmError, match=r"fit 1\.2\.1, 1\.2\.2, 1\.2\.3, 1\.3\.0\."):
        detect(library("1.3.0"), "x.so")


def test_a_released_file_is_known_by_its_hash_whatever_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    data = library("1.3.0")
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    monkeypatch.setattr(_librkllm_version, "RELEASED", {blob: "1.2.2"})
    assert detect(data, "x.so") == ("1.2.2", "1.2.2", "the file's hash")
    assert detect(data, "x.so", "1.2.2").layout == "1.2.2"
    with pytest.raises(RkllmError, match=r"runtime_version is 1\.3\.0, but x\.so is the released 1\.2\.2; remove"):
        detect(data, "x.so", "1.3.0")


def test_the_setting_wins_over_the_text_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert detect(library("1.2.3", said("1.4.0")), "x.so", "1.2.3").layout == "1.2.3"
    assert "x.so says it is 1.4.0; runtime_version says 1.2.3" in caplog.text


REFUSED = {
    "says a version nobody knows": (library("1.3.0", said("1.4.0")), "", r"says it is 1\.4\.0, which is not known"),
    "a newer beta": (library("1.3.0", said("1.3.0b2")), "", r"says it is 1\.3\.0b2, which is not known"),
    "names two": (library("1.3.0", said("1.2.3") + said("1.3.0")), "", r"names several versions: 1\.2\.3, 1\.3\.0"),
    "two bare numbers": (library("1.3.0", b"\x001.2.3\0\x001.3.0\0"), "", "names several versions"),
    "text and symbols differ": (library("1.2.0", said("1.3.0")), "", r"says it is 1\.3\.0, but exports what 1\.2\.0"),
    "setting and symbols differ": (library("1.2.0"), "1.3.0", r"runtime_version is 1\.3\.0, but x\.so exports what"),
    "setting unknown": (library("1.3.0"), "1.9", r"runtime_version is '1\.9', which is not known; known: 1\.1\.4, "),
    "exports a mixture": (elves.make([*NEEDED, "rkllm_set_function_tools"]), "", "as no known release does"),
    "lacks a function": (elves.make(NEEDED - {"rkllm_run"}), "1.1.4", "does not export rkllm_run"),
    "cut short": (library("1.3.0", said("1.3.0"))[:900], "1.3.0", r"x\.so is a damaged or truncated library"),
    "not RKLLM at all": (elves.make(["rknn_init"]), "", r"x\.so is no RKLLM runtime"),
    "zlib's number is not RKLLM's": (
        library("1.2.3", b"\x001.2.3\0 inflate 1.2.3 Copyright 1995-2005 Mark Adler \0"),
        "",
        "does not say its version",
    ),
}


@pytest.mark.parametrize(("data", "configured", "why"), REFUSED.values(), ids=REFUSED)
def test_refused_rather_than_guessed(data: bytes, configured: str, why: str) -> None:
    with pytest.raises(RkllmError, match=why):
        detect(data, "x.so", configured)


def test_another_architecture_is_named() -> None:
    other = next(name for name in ("aarch64", "x86_64") if name != elf.host())
    with pytest.raises(RkllmError, match=rf"x\.so is built for {other}, this is {elf.host()}"):
        detect(library("1.3.0", said("1.3.0"), machine=other), "x.so", "1.3.0")


def test_a_library_of_another_board_can_be_looked_at() -> None:
    other = "riscv64"
    assert detect(library("1.3.0", said("1.3.0"), other), "x.so", machine=other).release == "1.3.0"
    with pytest.raises(RkllmError, match=f"x.so is built for riscv64, this is {elf.host()}"):
        detect(library("1.3.0", said("1.3.0"), other), "x.so")
