"""The ledger: one record per turn, whatever order, doubling and loss the messages suffer."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.core.ledger import Ledger, TurnRecord
from assistant.core.turnfacts import TIMINGS, joined
from assistant.messages import (
    AudioOut,
    Embedding,
    Heard,
    Heartbeat,
    Message,
    NpuCost,
    PictureBound,
    ReplyEnded,
    ReplySentence,
    ReplyToken,
    SpeakerIdle,
    Speaking,
    SpeechDropped,
    SpeechEnded,
    SpeechStarted,
    Spoken,
    Thinking,
    Turn,
    TurnStarted,
    Unseen,
    Usage,
)

MS = 1_000_000
Sent = tuple[Message, int, int]  # message, sent at, samples


def said(turn: Turn) -> dict[str, list[Sent]]:
    """All that is published about a spoken turn with a picture, by publisher, each in its order."""
    t = turn.start
    usage = Usage(
        prompt_tokens=90, cached_tokens=70, completion_tokens=5, prefill_ms=20, first_token_ms=25, decode_ms=15
    )
    picture: dict[str, Any] = {"identity": "main@5", "camera": "main", "frame_seq": 7, "captured_at": t + 900 * MS}
    verified = t + 950 * MS
    sentences = ["The ball is red.", "It is on the left."]
    speaker: list[Sent] = []
    for index, text in enumerate(sentences):
        at = t + (1500 + 500 * index) * MS
        speaker += [
            (Speaking(turn=turn, index=index, first_sample_at=at, engine_ms=8), at, 0),
            (AudioOut(turn=turn, index=index, rate=16000, first_sample_at=at), at, 1600),
            (Spoken(turn=turn, index=index, text=text, complete=True), at + 400 * MS, 0),
        ]
    last = t + 1000 * MS
    return {
        "microphone": [
            (SpeechStarted(turn=turn, stream="s"), t + 50 * MS, 0),
            (SpeechEnded(turn=turn, stream="s", last_sample_at=last, why="silence"), t + 1300 * MS, 0),
            (Heard(turn=turn, stream="s", text="what color", last_sample_at=last, engine_ms=30), t + 1340 * MS, 0),
        ],
        "vision": [
            (
                Embedding(turn=turn, verified_at=verified, signature=b"", form="rows", engine_ms=12, **picture),
                t + 1360 * MS,
                0,
            )
        ],
        "dialogue": [
            (TurnStarted(turn=turn, text="what color", spoken=True, last_sample_at=last), t + 1341 * MS, 0),
            (PictureBound(turn=turn, verified_at=verified, fresh=True, **picture), t + 1361 * MS, 0),
            (ReplyToken(turn=turn, text="The ball is red.", index=0), t + 1390 * MS, 0),
            (ReplySentence(turn=turn, index=0, text=sentences[0], end=16), t + 1391 * MS, 0),
            (ReplyToken(turn=turn, text=" It is on the left.", index=1), t + 1395 * MS, 0),
            (ReplySentence(turn=turn, index=1, text=sentences[1], end=35), t + 1396 * MS, 0),
            (
                ReplyEnded(turn=turn, reason="stop", text=" ".join(sentences), sentences=2, usage=usage),
                t + 1400 * MS,
                0,
            ),
        ],
        "speaker": [*speaker, (SpeakerIdle(turn=turn), t + 2410 * MS, 0)],
    }


TURN = Turn("live", 1_000_000 * MS)


def fold(messages: list[Sent], ledger: Ledger | None = None) -> list[TurnRecord]:
    ledger = ledger or Ledger()
    return [record for message, at, samples in messages for record in ledger.fold(message, at, samples)]


def ordered(turn: Turn) -> list[Sent]:
    return sorted((sent for messages in said(turn).values() for sent in messages), key=lambda sent: sent[1])


def test_a_turn_becomes_one_record() -> None:
    (record,) = fold(ordered(TURN))
    assert (record.turn, record.heard, record.spoken) == (TURN, "what color", True)
    assert record.answer == record.spoken_text == "The ball is red. It is on the left."
    assert (record.finish_reason, record.dropped, record.spoken_ms) == ("stop", None, 200.0)
    assert (record.camera, record.frame_seq, record.frame_identity) == ("main", 7, "main@5")
    assert (record.frame_age_ms, record.picture_fresh) == (50.0, True)
    assert (record.prompt_tokens, record.cached_tokens, record.completion_tokens) == (90, 70, 5)
    assert record.timings_ms == {
        "endpoint": 300.0,
        "asr": 40.0,
        "encode": 12.0,
        "prefill": 20.0,
        "first_token": 25.0,
        "decode": 15.0,
        "tts_first_audio": 109.0,
        "first_audio": 500.0,
        "reply_end": 1410.0,
    }
    stages = [(name, (begin - TURN.start) // MS, (end - TURN.start) // MS) for name, begin, end in record.stages]
    assert stages == [
        ("speech", 0, 1000),
        ("endpoint", 1000, 1300),
        ("asr", 1300, 1340),
        ("encode", 1348, 1360),
        ("prefill", 1365, 1385),
        ("generate", 1390, 1400),
        ("voice", 1391, 1399),
        ("output", 1399, 1500),
        ("sound", 1500, 2410),
    ]
    assert msgspec.json.decode(msgspec.json.encode(record), type=TurnRecord) == record


def test_when_the_melody_of_the_speech_was_listened_to_is_told() -> None:
    sent: list[Sent] = []
    for message, at, samples in ordered(TURN):
        if isinstance(message, SpeechEnded):
            message = msgspec.structs.replace(message, detector_at=TURN.start + 1260 * MS, detector_ms=40.0)
        sent.append((message, at, samples))
    (record,) = fold(sent)
    assert ("melody", TURN.start + 1220 * MS, TURN.start + 1260 * MS) in record.stages
    assert record.timings_ms["endpoint"] == 300.0  # which it is a part of


def test_what_the_npu_cost_is_told_with_its_waits() -> None:
    """A wait stands before what waited; one too short to be anybody's is none."""
    encode, reply = NpuCost(4.0, 8.0, "dialogue"), NpuCost(0.2, 31.0)
    sent: list[Sent] = []
    for message, at, samples in ordered(TURN):
        if isinstance(message, PictureBound):
            message = msgspec.structs.replace(message, npu=encode)
        elif isinstance(message, ReplyEnded):
            usage = msgspec.structs.replace(message.usage, npu=reply, memory_mb=512.0)
            message = msgspec.structs.replace(message, usage=usage)
        sent.append((message, at, samples))
    (record,) = fold(sent)
    assert record.npu == {"encode": encode, "reply": reply}
    assert record.memory_mb == 512.0
    assert record.tokens_per_s == pytest.approx(5 / 0.015)
    stages = {name: ((begin - TURN.start) // MS, (end - TURN.start) // MS) for name, begin, end in record.stages}
    assert (stages["encode waits"], stages["encode"]) == ((1348, 1352), (1352, 1360))
    assert "prefill waits" not in stages
    (plain,) = fold(ordered(TURN))
    assert (plain.npu, plain.memory_mb) == ({}, None)


@given(st.randoms(use_true_random=False), st.booleans())
def test_the_order_among_publishers_does_not_matter(lot: random.Random, doubled: bool) -> None:
    waiting = [list(messages) for messages in said(TURN).values()]
    mixed: list[Sent] = []
    while waiting:
        queue = lot.choice(waiting)
        mixed.append(queue.pop(0))
        if doubled:
            mixed.append(mixed[-1])
        waiting = [queue for queue in waiting if queue]
    records = fold(mixed)
    if not records:  # all came, but the last was not the end of the reply: the next message of anyone settles it
        records = fold([*mixed, (Heartbeat(state="ready"), TURN.start + 9000 * MS, 0)])
    assert records == fold(ordered(TURN))


@settings(deadline=None)
@given(st.data())
def test_nothing_that_happens_to_messages_raises(data: st.DataObject) -> None:
    turns = [TURN, Turn("live", TURN.start, 1), Turn("live", TURN.start + 1), Turn("api", TURN.start)]
    everything = [sent for turn in turns for sent in ordered(turn)]
    everything += [
        (Unseen(turn=TURN, why="muted"), 5, 0),
        (SpeechDropped(turn=turns[2], stream="s", why="x"), 6, 0),
        (AudioOut(turn=TURN, index=0, rate=0, first_sample_at=0), 7, 100),
        (Heartbeat(state="ready"), 8, 0),
    ]
    history = data.draw(st.lists(st.sampled_from(everything), max_size=60))
    ledger = Ledger(keep=2)
    told = fold(history, ledger)
    told += ledger.expire(10**18)
    assert ledger.expire(10**18) == []
    names = [(record.turn.conversation, record.turn.start, record.turn.revision) for record in told]
    assert len(names) == len(set(names))
    assert all(tuple(record.timings_ms) == TIMINGS and record.finish_reason for record in told)
    assert len(ledger.records) <= 2


@pytest.mark.parametrize("gone", ["microphone", "vision", "dialogue", "speaker"])
def test_a_killed_service_costs_its_figures_only(gone: str) -> None:
    history = [sent for name, messages in said(TURN).items() if name != gone for sent in messages]
    ledger = Ledger()
    records = fold([*history, (Heartbeat(state="ready"), TURN.start + 4000 * MS, 0)], ledger)
    reasons = [record.finish_reason for record in records]
    assert reasons == ([] if gone in ("dialogue", "speaker") else ["stop"])
    lost = ledger.expire(TURN.start + 60_000 * MS)
    assert [record.finish_reason for record in lost] == (["lost"] if gone in ("dialogue", "speaker") else [])
    record = (records + lost)[0]
    assert (record.timings_ms["first_audio"] is None) == (gone == "speaker")
    assert (record.timings_ms["encode"] is None) == (gone in ("vision", "dialogue"))
    assert (record.timings_ms["endpoint"] is None) == (gone == "microphone")


def test_a_turn_is_not_lost_while_there_is_news_of_it() -> None:
    ledger = Ledger()
    fold(ordered(TURN)[:5], ledger)
    assert ledger.expire(TURN.start + 10_000 * MS, after_s=20) == []
    assert [record.answer for record in ledger.expire(TURN.start + 30_000 * MS, after_s=20)] == [""]


def test_a_reply_that_is_not_spoken_is_complete_at_its_end() -> None:
    turn = Turn("api", 5 * MS)
    started = TurnStarted(turn=turn, text="hi", spoken=False, last_sample_at=5 * MS)
    ended = ReplyEnded(turn=turn, reason="command", text="Hello.", sentences=0)
    (record,) = fold([(started, 6 * MS, 0), (ended, 9 * MS, 0)])
    assert (record.heard, record.spoken, record.finish_reason, record.spoken_text) == ("hi", False, "command", "")
    assert record.frame_age_ms is record.frame_seq is record.picture_fresh is None
    assert {name: value for name, value in record.timings_ms.items() if value is not None} == {"reply_end": 4.0}


def test_a_reply_that_was_whole_but_not_heard_to_its_end_was_interrupted() -> None:
    history = [
        (msgspec.structs.replace(message, text="It is", complete=False), at, samples)
        if isinstance(message, Spoken) and message.index == 1
        else (message, at, samples)
        for message, at, samples in ordered(TURN)
    ]
    (record,) = fold(history)
    assert record.finish_reason == "interrupted"
    assert record.spoken_text == "The ball is red. It is"


def test_dropped_speech_is_kept_but_is_no_turn() -> None:
    ledger = Ledger()
    dropped = SpeechDropped(turn=TURN, stream="s", why="too short")
    assert fold([*said(TURN)["microphone"][:1], (dropped, TURN.start + 60 * MS, 0)], ledger) == []
    (record,) = ledger.records
    assert (record.dropped, record.finish_reason) == ("too short", None)


def test_a_newer_revision_replaces_an_older() -> None:
    revised = Turn("live", TURN.start, 1)
    ledger = Ledger()
    half = ordered(TURN)[:6]
    assert [record.turn for record in fold([*half, *ordered(revised), *ordered(TURN)], ledger)] == [revised]
    assert [record.turn for record in ledger.records] == [revised]


def test_a_look_newer_than_the_question_has_no_age() -> None:
    history = [
        (msgspec.structs.replace(message, verified_at=TURN.start + 2000 * MS), at, samples)
        if isinstance(message, PictureBound)
        else (message, at, samples)
        for message, at, samples in ordered(TURN)
    ]
    assert fold(history)[0].frame_age_ms == 0.0


def test_only_the_last_are_kept() -> None:
    ledger = Ledger(keep=3)
    for number in range(5):
        fold(ordered(Turn("live", TURN.start + number * 10_000 * MS)), ledger)
    assert [(record.turn.start - TURN.start) // (10_000 * MS) for record in ledger.records] == [2, 3, 4]
    assert fold(ordered(TURN), ledger) == []  # told once, even if forgotten


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        (["One.", "Two."], "One. Two."),
        (["好。", "是的。"], "好。是的。"),
        (["a", "", "b"], "a b"),
        (["好", "ok"], "好ok"),
        ([], ""),
    ],
)
def test_joined(texts: list[str], text: str) -> None:
    assert joined(texts) == text


def looked(turn: Turn, identity: str, at: int, **told: Any) -> Embedding:
    return Embedding(
        turn=turn, identity=identity, camera="main", frame_seq=1, captured_at=at, verified_at=at, signature=b"",
        form="rows", ahead=True, engine_ms=100.0, encoded_at=at, **told,
    )  # fmt: skip


@pytest.mark.parametrize(("done", "end"), [(50, 900), (0, 1105)], ids=["before the question", "waited for by it"])
def test_what_was_done_ahead_stands_where_it_was_and_what_was_in_vain_is_counted(done: int, end: int) -> None:
    """Also what was done for a lower revision of the turn."""
    begun, final = msgspec.structs.replace(TURN, revision=0), msgspec.structs.replace(TURN, revision=2)
    t = TURN.start
    sent: list[Sent] = [
        (looked(begun, "main@1", t + 300 * MS, npu=NpuCost(10.0, 90.0)), t + 301 * MS, 0),
        (looked(begun, "main@5", t + 600 * MS, npu=NpuCost(0.0, 100.0)), t + 601 * MS, 0),
        (Thinking(turn=begun, done=0, total=50, ahead=True), t + 610 * MS, 0),
        (Thinking(turn=begun, done=done, total=50, ahead=True), t + 900 * MS, 0),
    ]
    for message, at, samples in ordered(final):
        if isinstance(message, Embedding):
            message = msgspec.structs.replace(message, form="unchanged", engine_ms=0.0)
        elif isinstance(message, PictureBound):
            message = msgspec.structs.replace(message, npu=NpuCost(0.0, 100.0))
        elif isinstance(message, ReplyEnded):
            ahead = {"began_at": t + 1100 * MS, "first_token_at": t + 1130 * MS, "wasted_ms": 7.0, "wasted_npu_ms": 5.0}
            message = msgspec.structs.replace(message, usage=msgspec.structs.replace(message.usage, **ahead))
        sent.append((message, at, samples))
    (record,) = fold(sent)
    assert (record.turn, record.wasted_ms, record.wasted_npu_ms) == (final, 97.0, 95.0)
    assert record.timings_ms["encode"] == 100.0
    stages = [(name, (begin - t) // MS, (end - t) // MS) for name, begin, end in record.stages]
    assert ("encode ahead", 210, 300) in stages
    assert ("encode ahead waits", 200, 210) in stages
    assert ("encode ahead", 500, 600) in stages
    assert ("prefill ahead", 610, end) in stages
    assert ("prefill", 1105, 1125) in stages
    assert ("generate", 1130, 1400) in stages
    assert "encode" not in [name for name, _, _ in stages]


def test_speech_that_was_worked_for_and_came_to_nothing_is_no_lost_turn() -> None:
    ledger = Ledger()
    ledger.fold(looked(TURN, "main@1", TURN.start), TURN.start)
    assert ledger.expire(TURN.start + 60_000 * MS) == []
    assert ledger.records == ()
