"""What stands on the wire: nothing that arrives can hurt the receiver, and what is lost is counted."""

import logging

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assistant.messages import LIVE, MESSAGE_LIMIT, PAYLOAD_LIMIT, VERSION, Ask, Heard, Hearing, Interrupt, Turn
from assistant.wire import REMEMBERED, BusError, Stamp, Wire, topic
from tests import strategies

TURN = Turn(LIVE, 1)
ASK = Ask(turn=TURN, text="what is there?")
NESTED = b"\x81\xa1y" + b"\x91" * 200_000  # an unknown field that holds lists in lists in lists …


def sender(name: str = "here", start: int = 1) -> Wire:
    return Wire(name, lambda: start)


def views(parts: list[bytes]) -> list[memoryview]:
    return [memoryview(part) for part in parts]


def stamp(version: int = VERSION, sequence: int = 0) -> bytes:
    return msgspec.msgpack.encode(Stamp(version, "here", 1, sequence, 1))


def body(message: msgspec.Struct) -> bytes:
    return msgspec.msgpack.encode(message)


# --- what cannot be read ---

BAD = {
    "no parts": ([], "malformed"),
    "one part": ([b"Ask|"], "malformed"),
    "five parts": ([topic(Ask), stamp(), body(ASK), b"", b""], "malformed"),
    "unknown topic": ([b"Asks|", stamp(), body(ASK)], "unknown"),
    "topic without its end": ([b"Ask", stamp(), body(ASK)], "unknown"),
    "topic that is no text": ([b"\xff\x00|", stamp(), body(ASK)], "unknown"),
    "endless topic": ([b"A" * 1_000_000, stamp(), body(ASK)], "unknown"),
    "other version": ([topic(Ask), stamp(VERSION + 1), body(ASK)], "version"),
    "stamp of a later version, with more in it": (
        [topic(Ask), msgspec.msgpack.encode([VERSION + 1, "x", 1, 0, 1, "", "more"]), b"\xc1"],
        "version",
    ),
    "short stamp": ([topic(Ask), msgspec.msgpack.encode([VERSION]), body(ASK)], "malformed"),
    "empty stamp": ([topic(Ask), b"", body(ASK)], "malformed"),
    "empty body": ([topic(Ask), stamp(), b""], "malformed"),
    "body of another type": ([topic(Ask), stamp(), body(TURN)], "malformed"),
    "missing field": ([topic(Ask), stamp(), msgspec.msgpack.encode({"text": "?"})], "malformed"),
    "wrong type of a field": (
        [topic(Ask), stamp(), msgspec.msgpack.encode({"turn": body(TURN), "text": 1})],
        "malformed",
    ),
    "text that is no UTF-8": ([topic(Ask), stamp(), body(ASK).replace(b"what", b"\xff\xff\xff\xff")], "malformed"),
    "nested without end": ([topic(Ask), stamp(), NESTED], "malformed"),
    "stamp nested without end": ([topic(Ask), b"\x91" * 200_000, body(ASK)], "malformed"),
    "promises a huge map": ([topic(Ask), stamp(), b"\xdf\xff\xff\xff\xff"], "malformed"),
    "more after its end": ([topic(Ask), stamp(), body(ASK) + b"\x00"], "malformed"),
    "large body": ([topic(Ask), stamp(), bytes(MESSAGE_LIMIT + 1)], "oversized"),
    "large payload": ([topic(Ask), stamp(), body(ASK), bytes(PAYLOAD_LIMIT + 1)], "oversized"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_be_read_is_dropped_counted_and_logged_once(bad: str, caplog: pytest.LogCaptureFixture) -> None:
    parts, why = BAD[bad]
    wire = sender("there")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert wire.unpack(views(parts)) is None
    assert dict(wire.refused) == {why: 3}
    assert len(caplog.records) == 1
    assert why in caplog.text
    assert len(caplog.text) < 500
    received = wire.unpack(views(sender().pack(ASK, None)))
    assert received is not None
    assert received.message == ASK


@given(st.lists(st.binary(max_size=200), max_size=6))
@example([b"Ask|", stamp(), b"\xc1"])
def test_no_bytes_raise(parts: list[bytes]) -> None:
    wire = sender("there")
    received = wire.unpack(views(parts))
    assert (received is None) == (sum(wire.refused.values()) == 1)


@given(strategies.messages, st.data())
def test_no_change_to_a_valid_message_raises(message: msgspec.Struct, data: st.DataObject) -> None:
    parts = [bytearray(part) for part in sender().pack(message, b"payload")]  # type: ignore[arg-type]
    for _ in range(data.draw(st.integers(1, 4))):
        part = data.draw(st.sampled_from(parts))
        at = data.draw(st.integers(0, max(0, len(part) - 1)))
        match data.draw(st.sampled_from(("change", "cut", "insert", "double"))):
            case "change" if part:
                part[at] = data.draw(st.integers(0, 255))
            case "cut":
                del part[at:]
            case "insert":
                part[at:at] = data.draw(st.binary(max_size=9))
            case _:
                part.extend(bytes(part))
    wire = sender("there")
    received = wire.unpack(views([bytes(part) for part in parts]))
    assert (received is None) == (sum(wire.refused.values()) == 1)


# --- what may be sent ---


def test_too_large_a_message_is_refused_where_it_is_sent_and_leaves_no_gap() -> None:
    here, there = sender(), sender("there")
    assert there.unpack(views(here.pack(ASK, None)))
    with pytest.raises(BusError, match="large data is a payload"):
        here.pack(Ask(turn=TURN, text="x" * MESSAGE_LIMIT), None)
    with pytest.raises(BusError, match=f"Ask carries {PAYLOAD_LIMIT + 1} bytes"):
        here.pack(ASK, bytes(PAYLOAD_LIMIT + 1))
    assert there.unpack(views(here.pack(ASK, None)))
    assert there.gaps == 0


# --- gaps ---


def test_what_was_lost_is_counted() -> None:
    here, there = sender(), sender("there")
    packed = [views(here.pack(ASK, None)) for _ in range(10)]
    for index in (3, 4, 7, 8):  # began to listen at 3; 5 and 6 never came
        there.unpack(packed[index])
    assert there.gaps == 2


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_gaps_are_the_holes_between_the_first_and_the_last_that_came(came: list[bool]) -> None:
    here, there = sender(), sender("there")
    for arrives in came:
        parts = views(here.pack(ASK, None))
        if arrives:
            there.unpack(parts)
    arrived = [index for index, arrives in enumerate(came) if arrives]
    assert there.gaps == (arrived[-1] - arrived[0] + 1 - len(arrived) if arrived else 0)


def test_topics_inboxes_and_senders_are_counted_apart() -> None:
    """A sender of three inboxes numbers what each of them gets; what it publishes is another stream again."""
    here, other, there = sender(), sender("other"), sender("there")
    interrupt = Interrupt(before=1)
    for _ in range(3):
        for wire, to in ((here, "speaker"), (here, "dialogue"), (here, ""), (other, "speaker")):
            parts = views(wire.pack(interrupt, None, to=to))
            if to != "dialogue":
                there.unpack(parts)
        there.unpack(views(here.pack(ASK, None, to="dialogue")))
    assert there.gaps == 0


def test_skipped_frames_and_restarts_are_no_gaps() -> None:
    there = sender("there")
    here = sender(start=1)
    hearing = [views(here.pack(Hearing(turn=TURN, text="wh"), None)) for _ in range(5)]
    there.unpack(hearing[0])
    there.unpack(hearing[4])
    heard = Heard(turn=TURN, stream="", text="what", last_sample_at=1)
    for start in (1, 2):  # the second is the same sender, started again
        again = sender(start=start)
        for _ in range(4):
            there.unpack(views(again.pack(heard, None)))
    assert there.gaps == 0


def test_short_lived_senders_are_forgotten() -> None:
    there = sender("there")
    for number in range(REMEMBERED + 50):
        there.unpack(views(sender(f"client-{number}").pack(ASK, None)))
    assert len(there._seen) == REMEMBERED
