"""Every offset and size of every runtime release, held against what a C compiler made of its header."""

import ctypes
import re
from pathlib import Path
from typing import Any

import pytest

from pipelines.llm._librkllm_abi import FUNCTIONS, STRUCTS, VERSIONS
from pipelines.llm.librkllm import ABI

MEASURED = Path("tests/fixtures/rkllm-offsets.txt").read_text().splitlines()
SIZE = re.compile(r"(\S+) (\w+) size=(\d+) align=(\d+)")
OFFSET = re.compile(r" +(\d+) (\w+)\.([\w.]+)")


def facts() -> list[tuple[str, str, int, int, dict[str, int]]]:
    """(version, structure, size, alignment, {field: offset}) of the file of measured layouts."""
    found: list[tuple[str, str, int, int, dict[str, int]]] = []
    for line in MEASURED:
        if match := SIZE.fullmatch(line):
            version, name, size, align = match.groups()
            found.append((version, name, int(size), int(align), {}))
        elif match := OFFSET.fullmatch(line):
            assert match[2] == found[-1][1]
            found[-1][4][match[3]] = int(match[1])
        else:
            assert not line.strip(), line
    return found


def offset_of(struct: Any, path: str) -> int:
    first, _, rest = path.partition(".")
    here = int(getattr(struct, first).offset)
    return here + offset_of(dict(struct._fields_)[first], rest) if rest else here


@pytest.mark.parametrize(("version", "name", "size", "align", "offsets"), facts(), ids=lambda v: str(v)[:20])
def test_layout_is_the_measured_one(version: str, name: str, size: int, align: int, offsets: dict[str, int]) -> None:
    struct = getattr(ABI[version], name)
    assert ctypes.sizeof(struct) == size
    assert ctypes.alignment(struct) == align
    assert {field: offset_of(struct, field) for field in offsets} == offsets


def test_the_facts_cover_all_seven_releases_and_every_field_of_theirs() -> None:
    covered = facts()
    assert list(dict.fromkeys(version for version, *_ in covered)) == list(ABI) == list(VERSIONS)
    for version, name, *_, offsets in covered:
        own = [field for field, _ in getattr(ABI[version], name)._fields_]
        listed = {path.partition(".")[0] for path in offsets}
        if name == "RKLLMInput":
            own = [field for field in own if field != "_union"] + [row.name for row in STRUCTS["InputUnion"]]
        assert set(own) == listed


@pytest.mark.parametrize("version", VERSIONS)
def test_the_multimodal_input_has_both_its_names(version: str) -> None:
    assert ABI[version].RKLLMMultiModelInput is ABI[version].RKLLMMultiModalInput


LACKS = {
    "1.1.4": {"rkllm_clear_kv_cache", "rkllm_set_chat_template", "rkllm_get_kv_cache_size", "RKLLMResultLogits"},
    "1.2.0": {"rkllm_get_kv_cache_size", "rkllm_set_function_tools", "rkllm_set_cross_attn_params", "RKLLMPerfStat"},
    "1.2.3": {"RKLLMCallback", "RKLLMSamplingParam", "LLMTokenizerCallback", "LLMGetEmbedCallback"},
}


@pytest.mark.parametrize(("version", "names"), LACKS.items())
def test_what_a_release_lacks_is_no_attribute_of_its(version: str, names: set[str]) -> None:
    for name in names:
        assert not hasattr(ABI[version], name)
        with pytest.raises(AttributeError, match=rf"RKLLM {re.escape(version)} has no {name}"):
            getattr(ABI[version], name)
    assert not [name for name in names if not hasattr(ABI["1.3.0"], name)]


def test_prototypes_follow_the_release() -> None:
    clear = {version: len(ABI[version].rkllm_clear_kv_cache.argtypes) for version in VERSIONS[1:]}
    assert clear == {"1.2.0": 2, "1.2.1b1": 2, "1.2.1": 4, "1.2.2": 4, "1.2.3": 4, "1.3.0": 4}
    for version in VERSIONS:
        abi = ABI[version]
        by_value = version == "1.3.0"
        third = abi.rkllm_init.argtypes[2]
        assert third is (ctypes.POINTER(abi.RKLLMCallback) if by_value else abi.LLMResultCallback)
        assert abi.rkllm_createDefaultParam == (abi.RKLLMParam, ())
        returns = {"1.1.4": None, "1.2.0": None, "1.2.1b1": None}.get(version, ctypes.c_int)
        assert abi.LLMResultCallback._restype_ is returns
        assert set(abi.functions) == {f.name for f in FUNCTIONS if f.within(version)}


# What the headers declare, written down a second time: h a pointer, s a text, i an int; "i" before the colon: an int is
# given back. (release from, until) -> prototype; a function that changed stands here once for each form.
PROTOTYPES: dict[str, dict[tuple[str, str], str]] = {
    "rkllm_init": {("1.1.4", "1.3.0"): "i:hhh"},
    "rkllm_load_lora": {("1.1.4", "1.3.0"): "i:hh"},
    "rkllm_load_prompt_cache": {("1.1.4", "1.3.0"): "i:hs"},
    "rkllm_release_prompt_cache": {("1.1.4", "1.3.0"): "i:h"},
    "rkllm_destroy": {("1.1.4", "1.3.0"): "i:h"},
    "rkllm_run": {("1.1.4", "1.3.0"): "i:hhhh"},
    "rkllm_run_async": {("1.1.4", "1.3.0"): "i:hhhh"},
    "rkllm_abort": {("1.1.4", "1.3.0"): "i:h"},
    "rkllm_is_running": {("1.1.4", "1.3.0"): "i:h"},
    "rkllm_clear_kv_cache": {("1.2.0", "1.2.1b1"): "i:hi", ("1.2.1", "1.3.0"): "i:hihh"},
    "rkllm_set_chat_template": {("1.2.0", "1.3.0"): "i:hsss"},
    "rkllm_get_kv_cache_size": {("1.2.1", "1.3.0"): "i:hh"},
    "rkllm_set_function_tools": {("1.2.1", "1.3.0"): "i:hsss"},
    "rkllm_set_cross_attn_params": {("1.2.1", "1.3.0"): "i:hh"},
}


def letter(kind: Any) -> str:
    return {ctypes.c_int: "i", ctypes.c_char_p: "s"}.get(kind, "h")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_function_has_its_prototype(version: str) -> None:
    at, expected = VERSIONS.index(version), {}
    for name, forms in PROTOTYPES.items():
        for (since, until), form in forms.items():
            if VERSIONS.index(since) <= at <= VERSIONS.index(until):
                expected[name] = form
    found = {
        name: f"{letter(one.restype)}:{''.join(map(letter, one.argtypes))}"
        for name, one in ABI[version].functions.items()
        if name != "rkllm_createDefaultParam"  # gives a structure
    }
    assert found == expected


def test_the_callbacks_of_the_newest_release() -> None:
    abi = ABI["1.3.0"]
    text, tokens, number = ctypes.c_char_p, ctypes.POINTER(ctypes.c_int32), ctypes.c_int32
    assert abi.LLMTokenizerCallback._restype_ is ctypes.c_int
    assert abi.LLMTokenizerCallback._argtypes_ == (ctypes.c_void_p, text, number, tokens, number)
    assert abi.LLMGetEmbedCallback._restype_ is ctypes.c_int
    long = ctypes.c_uint64
    assert abi.LLMGetEmbedCallback._argtypes_ == (ctypes.c_void_p, tokens, long, ctypes.c_void_p, long)
