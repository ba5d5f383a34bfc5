"""Buttons read from input devices: recorded event bytes through a pipe, which is read like /dev/input/event*."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import button
from pipelines.button import Edge, Unplugged, evdev
from pipelines.engine import EngineError

F13 = evdev.code("F13")
# What a foot switch that plays the key F13 sent when it was stepped on, held so that it repeats, and let go.
RECORDED = [(4, 4, 458856), (1, F13, 1), (0, 0, 0), (1, F13, 2), (0, 0, 1), (4, 4, 458856), (1, F13, 0), (0, 0, 0)]


def packed(events: list[tuple[int, int, int]]) -> bytes:
    return b"".join(struct.pack("@llHHi", 1000, index, *event) for index, event in enumerate(events))


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "event3"
    os.mkfifo(path)
    return path


@pytest.fixture
def opened(pipe: Path) -> Iterator[tuple[button.Contacts, int]]:
    contacts = button.load("evdev", {"device": str(pipe)})
    writer = os.open(pipe, os.O_WRONLY)
    yield contacts, writer
    contacts.close()


def test_presses_and_releases_are_read_and_repeats_are_not(opened: tuple[button.Contacts, int]) -> None:
    contacts, writer = opened
    os.write(writer, packed(RECORDED))
    edges = contacts.edges(5.0)
    assert [edge.pressed for edge in edges] == [True, False]
    assert contacts.edges(0.0) == []
    os.close(writer)


def test_other_keys_are_not_this_one(opened: tuple[button.Contacts, int]) -> None:
    contacts, writer = opened
    os.write(writer, packed([(1, 57, 1), (1, 57, 0), (2, F13, 1)]))
    assert contacts.edges(5.0) == []
    os.close(writer)


def test_an_event_that_comes_in_two_pieces_is_one(opened: tuple[button.Contacts, int]) -> None:
    contacts, writer = opened
    data = packed([(1, F13, 1)])
    os.write(writer, data[:7])
    assert contacts.edges(5.0) == []
    os.write(writer, data[7:])
    assert [edge.pressed for edge in contacts.edges(5.0)] == [True]
    os.close(writer)


def test_times_are_the_kernels_where_it_stamps_them_with_our_clock(opened: tuple[button.Contacts, int]) -> None:
    contacts, writer = opened
    assert isinstance(contacts, evdev.Engine)
    contacts._stamped = True  # a pipe's never are
    os.write(writer, packed([(1, F13, 1)]))
    assert contacts.edges(5.0) == [Edge(True, 1000 * 10**9)]
    os.close(writer)


def test_one_that_is_unplugged_says_so(opened: tuple[button.Contacts, int]) -> None:
    contacts, writer = opened
    os.close(writer)
    with pytest.raises(Unplugged, match="is unplugged"):
        contacts.edges(5.0)
    contacts.close()
    with pytest.raises(Unplugged):
        contacts.edges(0.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device": "/dev/input/no-such"}, "there is no /dev/input/no-such; is it plugged in"),
        ({"device": "pedal of nobody"}, "no input device is called 'pedal of nobody'; there are: "),
        ({"device": "x", "key": "KEY_NOSUCH"}, "there is no key 'KEY_NOSUCH'; give its number, or one of: .*KEY_SPACE"),
    ],
)
def test_what_is_not_there_is_named(options: dict[str, str], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        button.load("evdev", options)


def test_a_device_is_chosen_by_a_part_of_its_name_and_by_its_keys(monkeypatch: pytest.MonkeyPatch, pipe: Path) -> None:
    """The kernel's answers are given here: no input device may exist where tests run."""
    other = pipe.with_name("event12")
    os.mkfifo(other)
    said = {pipe: (b"PCsensor FootSwitch Keyboard\0", F13), other: (b"PCsensor FootSwitch Mouse\0", 272)}

    def asked(path: Path, request: int, size: int) -> bytes:
        name, key = said[path]
        return name if request == evdev.NAME else bytes(key // 8) + bytes([1 << key % 8])

    monkeypatch.setattr(evdev, "_asked", asked)
    monkeypatch.setattr(evdev.Engine, "folder", pipe.parent)
    for key, name in ((F13, "Keyboard"), ("BTN_LEFT", "Mouse")):
        contacts = button.load("evdev", {"device": "footswitch", "key": key})
        assert contacts.name.endswith(name)
        contacts.close()
    with pytest.raises(EngineError, match="PCsensor FootSwitch Keyboard has no key 57; see what it sends"):
        button.load("evdev", {"device": "footswitch", "key": "space"})
    with pytest.raises(EngineError, match="there are: PCsensor FootSwitch Keyboard, PCsensor FootSwitch Mouse"):
        button.load("evdev", {"device": "headset"})


def test_the_numbers_of_the_requests_are_the_kernels() -> None:
    """As <linux/input.h> computes them: direction, size, 'E', number."""
    assert (evdev.GRAB, evdev.SET_CLOCK) == (0x40044590, 0x400445A0)
    assert (evdev.NAME, evdev.KEYS, evdev.STATE) == (0x81004506, 0x80604521, 0x80604518)
    assert (evdev.code("KEY_F1"), evdev.code("space"), evdev.code(183), F13) == (59, 57, 183, 183)
