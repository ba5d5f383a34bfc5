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
