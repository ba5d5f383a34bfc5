"""Units, decided: conditional sections, quoting, what a service needs by its settings."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core import units
from assistant.core.units import Fence, UnitError, fence

TEMPLATE = """\
#: for who reads the template
# for the owner
[Unit]
Description=@name@
@nothing@

[X-System Offline Service]
PrivateNetwork=yes

[X-Network Service]
RestrictAddressFamilies=AF_INET

[Service]
# @name@ in a comment is no mark
ExecStart=@python@ -m x
"""
VALUES = {"name": "ears", "python": "/p", "nothing": ""}


def test_sections_are_taken_where_all_their_kinds_are_given() -> None:
    offline = units.render([TEMPLATE], frozenset({"System", "Offline"}), VALUES)
    assert offline == (
        "# for the owner\n[Unit]\nDescription=ears\n\n[Service]\nPrivateNetwork=yes\n\n"
        "[Service]\n# @name@ in a comment is no mark\nExecStart=/p -m x\n"
    )
    for kinds, families, private in (({"User", "Offline"}, 0, 0), ({"User", "Network"}, 1, 0)):
        text = units.render([TEMPLATE], frozenset(kinds), VALUES)
        assert (text.count("AF_INET"), text.count("PrivateNetwork")) == (families, private)
        assert text.endswith("ExecStart=/p -m x\n")


def test_a_template_says_which_kinds_it_has_sections_for() -> None:
    assert units.heeded(TEMPLATE) == {"System", "Offline", "Network"}


def test_a_mark_without_a_value_is_named() -> None:
    with pytest.raises(UnitError, match="@python@"):
        units.render([TEMPLATE], frozenset(), {"name": "x", "nothing": ""})


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("/opt/venv/bin/python", "/opt/venv/bin/python"),
        ("/opt/my 100% venv/bin", '"/opt/my 100%% venv/bin"'),
        ("/opt/;x", '"/opt/;x"'),
        ("/opt/助手", "/opt/助手"),
        ("", '""'),
    ],
)
def test_a_path_is_quoted_for_systemd(text: str, written: str) -> None:
    assert units.word(text) == written


@pytest.mark.parametrize("text", ["/a$b", '/a"b', "/a\\b", "/a:b", "/a'b", "/a\nb", "/a\x00b"])
def test_a_path_that_no_unit_can_name_is_refused(text: str) -> None:
    with pytest.raises(UnitError, match="choose another name"):
        units.word(text)


@given(st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), max_size=20))
def test_an_argument_comes_out_as_it_went_in(text: str) -> None:
    written = units.argument(text)
    read = re.fullmatch(r'"((?:\\["\\]|%%|\$\$|[^"\\%$])*)"', written)
    assert read, f"{written} holds something that systemd takes for its own"
    assert re.sub(r"[\\%$](.)", r"\1", read[1]) == text


def test_a_line_break_is_no_argument() -> None:
    with pytest.raises(UnitError, match="settings file"):
        units.argument("a\nb")


def opencv(source: str) -> dict[str, object]:
    return {"engine": "opencv", "opencv": {"source": source}}


def llm(engine: str, key: str) -> dict[str, object]:
    openai = {"base_url": "http://x/v1", "api_key_file": key}
    return {"llm": {"engine": engine, "onnx": {"model": "/m"}, "openai": openai}}


@pytest.mark.parametrize(
    ("values", "kinds", "paths", "keys"),
    [
        ({}, {"Offline"}, (), ()),
        ({"source": opencv("rtsp://u:p@cam/1")}, {"Network"}, (), ()),
        ({"source": opencv("/dev/video0")}, {"Video", "Offline"}, (), ()),
        ({"source": opencv("0")}, {"Video", "Offline"}, (), ()),
        ({"source": opencv("/home/a/p.png")}, {"Offline"}, ("/home/a/p.png",), ()),
        ({"source": opencv("file:///p.mp4")}, {"Offline"}, (), ()),
        ({"cameras": {"door": {"source": opencv("http://cam")}}}, {"Network"}, (), ()),
        ({"source": "device", "device": "USB"}, {"Sound", "Offline"}, (), ()),
        ({"output": "bus"}, {"Offline"}, (), ()),
        ({"llm": {"engine": "rkllm", "rkllm": {"model": "/m/a"}}}, {"Npu", "Offline"}, ("/m/a",), ()),
        (llm("onnx", "key"), {"Offline"}, ("/m",), ()),
        (llm("openai", "key"), {"Network"}, (), ("key",)),
        (llm("auto", "/k"), {"Npu", "Network"}, ("/m", "/k"), ()),
        ({"button": {"engine": "evdev", "evdev": {"device": "/dev/input/by-id/x"}}}, {"Keys", "Offline"}, (), ()),
        ({"button": {"engine": "gpio", "gpio": {"line": 3}, "evdev": {"device": "x"}}}, {"Pins", "Offline"}, (), ()),
        ({"button": {"engine": "none", "gpio": {"line": 3}}}, {"Offline"}, (), ()),
        ({"voices": ["/a", "/b", "/a"]}, {"Offline"}, ("/a", "/b"), ()),
    ],
)
def test_what_a_service_needs_is_read_off_its_settings(
    values: dict[str, object], kinds: set[str], paths: tuple[str, ...], keys: tuple[str, ...]
) -> None:
    assert fence(values) == Fence(frozenset(kinds), paths, keys)


def test_a_service_may_be_let_onto_the_network() -> None:
    assert fence({}, network=True).kinds == {"Network"}


def test_groups_are_those_that_the_units_name() -> None:
    texts = {"a": "[Service]\nSupplementaryGroups=video render\n", "b": "SupplementaryGroups=video\n", "c": "Group=x\n"}
    assert units.groups(texts) == {"video": ["a", "b"], "render": ["a"]}


def test_what_lies_in_a_home_must_be_shown_to_a_unit() -> None:
    paths = ["/opt/v", "/home/pi/v/bin", "/home/pi/v", "/root/x", "/homework", "/home/pi/v"]
    assert units.hidden(paths) == ["/home/pi/v", "/root/x"]


@pytest.mark.parametrize(
    ("current", "installed", "wanted", "digest", "expected"),
    [
        (None, "a", "b", "e", "absent"),
        (b"", "a", "b", "b", "same"),
        (b"", "a", "b", "a", "old"),
        (b"", "a", "b", "x", "edited"),
        (b"", "", "b", "x", "edited"),  # somebody else's
        (b"", "a", "", "a", "old"),  # no longer wanted
    ],
)
def test_how_an_installed_file_is(
    current: bytes | None, installed: str, wanted: str, digest: str, expected: str
) -> None:
    assert units.state(current, installed, wanted, digest) == expected
