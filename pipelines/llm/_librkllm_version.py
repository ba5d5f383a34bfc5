"""Which release a librkllmrt.so is, found before anything of it is called: a wrong layout segfaults in the first run.

The evidence, strongest first, and why in this order:

1. The file's hash. A released file is itself; nothing needs to be interpreted, and no setting can make it another one.
2. What it exports, read without loading it. It cannot be wrong, but C (1.2.1 to 1.2.3) and D (1.3.0) export the same
   names: it decides alone only for 1.1, and limits what the other evidence may claim.
3. The setting. Whoever sets it has looked, so it wins over the text below (with a warning) but never over 1 and 2.
4. The library's own text, "rkllm-runtime version: 1.2.3", which it also prints; text can stem from something linked in.
   A bare "1.2.3" counts only where that sentence is not, and only as the sole one: zlib has carried such numbers too.

What is unknown, or contradicts itself, is refused: there is no layout to guess.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pipelines.engine import EngineError
from pipelines.llm._librkllm_abi import ABI, SAME_HEADER, VERSIONS
from pipelines.llm._librkllm_types import RkllmError
from pipelines.npu import elf

log = logging.getLogger(__name__)

# git's blob ids of rkllm-runtime/Linux/librkllm_api/aarch64/librkllmrt.so at the tags of airockchip/rknn-llm.
RELEASED: Mapping[str, str] = {
    "66dfdc7c25cdca9ccf9930798118e17abf7592ff": "1.1.0",
    "bfca051375287d0f5aa754a7b8681b4ede52e259": "1.1.1",
    "e8f4afc38c7394beeff83003dbc772412f649a44": "1.1.2",
    "68e79327e82f675413956be615f48c62ccd0f16e": "1.1.3",
    "3bb8cb6172c4c06e1c622c8f8c579888378784f4": "1.1.4",
    "d45ee9b8dcb9ef27d7dd875ce3be3d5e6dfb654d": "1.2.0",
    "db041c01bba5e0e8f624bb2ff50d48825dde1bfc": "1.2.1b1",
    "6b9439d59f2fe4bb8ef5ee2b09c102f1bf993da9": "1.2.1",
    "8ed9cca16f8d5ad8f7cdd7d393de6561182b3395": "1.2.2",
    "0084abc34ab43359cfa9fd5d4c92ece34127dbd0": "1.2.3",
    "34167b32f99cb7ab19e21fb579fb750d96b878f1": "1.3.0",
}

NUMBER = rb"(\d{1,3}\.\d{1,3}\.\d{1,3}(?:b\d{1,2})?)"
SENTENCE = re.compile(rb"rkllm-runtime version: ?" + NUMBER + rb"(?![\w.])")
BARE = re.compile(rb"(?<=\0)" + NUMBER + rb"(?=\0)")
ZLIB = re.compile(rb"(?:de|in)flate " + NUMBER + rb" Copyright")

NEEDED = frozenset(ABI[VERSIONS[0]].functions)  # what every release exports
TELLING = frozenset(name for version in VERSIONS for name in ABI[version].functions) - NEEDED


class Found(NamedTuple):
    """``release`` is what the library calls itself, ``layout`` the key of ABI that describes it."""

    release: str
    layout: str
    how: str


def detect(data: bytes, where: str, configured: str = "", machine: str = "") -> Found:
    """The release of the library whose bytes these are; ``configured`` is the setting, empty for none. ``machine``: the
    architecture that it must be for, empty for this process's own (a file of another board is looked at, not loaded).

    Raises RkllmError for another architecture, a missing symbol, an unknown release or contradictory evidence.
    """
    exports = _exports(data, where, machine or elf.host())
    possible = tuple(v for v in VERSIONS if TELLING & exports == TELLING & ABI[v].functions.keys())
    if not possible:
        raise _refused(where, f"exports {_listed(TELLING & exports)}, as no known release does")
    released = RELEASED.get(hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest(), "")
    text = _from_text(data, where)
    if configured:
        return _configured(where, configured, possible, released, text)
    if released:
        return Found(released, layout_of(released), "the file's hash")
    if text:
        return _by_text(where, text, possible)
    if len(possible) == 1:
        return Found(possible[0], possible[0], "what it exports")
    raise _refused(where, f"does not say its version, and its symbols fit {_listed(possible)}")


def layout_of(release: str) -> str:
    """The key of ABI for a release, or empty: releases 1.1.0 to 1.1.3 have the header of 1.1.4."""
    layout = SAME_HEADER.get(release, release)
    return layout if layout in ABI else ""


def _exports(data: bytes, where: str, machine: str) -> frozenset[str]:
    try:
        library = elf.read(data, where)
    except EngineError as error:
        raise RkllmError(str(error)) from error
    if library.machine != machine:
        raise RkllmError(f"{where} is built for {library.machine}, this is {machine}; install the library for it")
    if missing := NEEDED - library.exports:
        raise RkllmError(f"{where} is no RKLLM runtime, or a damaged one: it does not export {_listed(missing)}")
    return library.exports


def _configured(where: str, wanted: str, possible: tuple[str, ...], released: str, text: str) -> Found:
    layout = layout_of(wanted)
    if not layout:
        raise RkllmError(f"runtime_version is {wanted!r}, which is not known; known: {_listed(VERSIONS)}")
    if released and layout_of(released) != layout:
        raise RkllmError(f"runtime_version is {wanted}, but {where} is the released {released}; remove the setting")
    if layout not in possible:
        raise RkllmError(f"runtime_version is {wanted}, but {where} exports what {_listed(possible)} does")
    if text and text != wanted:
        log.warning("%s says it is %s; runtime_version says %s, which is used", where, text, wanted)
    return Found(wanted, layout, "the setting runtime_version")


def _by_text(where: str, text: str, possible: tuple[str, ...]) -> Found:
    layout = layout_of(text)
    if not layout:
        raise _refused(where, f"says it is {text}, which is not known")
    if layout not in possible:
        raise _refused(where, f"says it is {text}, but exports what {_listed(possible)} does")
    return Found(text, layout, "its own text")


def _from_text(data: bytes, where: str) -> str:
    """The one version that the library's text names; empty where there is none."""
    said = set(SENTENCE.findall(data))
    if not said:
        said = {number for number in set(BARE.findall(data)) - set(ZLIB.findall(data)) if layout_of(number.decode())}
    if len(said) > 1:
        raise _refused(where, f"names several versions: {_listed(number.decode() for number in said)}")
    return said.pop().decode() if said else ""


def _refused(where: str, why: str) -> RkllmError:
    return RkllmError(
        f"{where} {why}. A call through a guessed layout would crash, so it is not loaded; if you know which release "
        f"it is, set runtime_version to one of {_listed(VERSIONS)}"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names if isinstance(names, tuple) else sorted(names)) or "none"
