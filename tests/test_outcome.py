"""What comes of a step: which turns are its own, when it is over, whether the expectations held."""

import msgspec
import pytest
from msgspec import UNSET

from assistant.core.ledger import TurnRecord
from assistant.messages import LIVE, Message, NpuCost, Speaking, SpeechDropped, SpeechStarted, Turn, TurnStarted
from assistant.outcome import ANSWER_S, NOTICE_S, SETTLE_S, Claim, Line
from assistant.scenario import Step

S, MS = 1_000_000_000, 1_000_000
NOW = 1000 * S


def heard(**expected: str) -> Claim:
    claim = Claim(7, msgspec.structs.replace(Step(), **expected), NOW, typed=False)
    claim.asked_at = NOW + 2 * S
    return claim


def record(start: int, **fields: object) -> TurnRecord:
    known: dict[str, object] = {"heard": "what is it", "answer": "It is blue.", "finish_reason": "stop", **fields}
    return TurnRecord(turn=Turn(LIVE, start), spoken=True, asked_at=start + S, **known)  # type: ignore[arg-type]


def onset(start: int, stream: str = "replay", conversation: str = LIVE) -> Message:
    return SpeechStarted(turn=Turn(conversation, start), stream=stream)


@pytest.mark.parametrize(
    ("message", "own"),
    [
        (onset(NOW + 100 * MS), True),
        (onset(NOW - 200 * MS), True),  # the detector's pre-roll
        (onset(NOW - 500 * MS), False),  # began before
        (onset(NOW + 100 * MS, stream="soundcard"), False),
        (onset(NOW + 100 * MS, conversation="cli-1"), False),
        (TurnStarted(turn=Turn(LIVE, NOW + MS), text="x", spoken=True, last_sample_at=NOW), True),
        (Speaking(turn=Turn(LIVE, NOW + MS), index=0, first_sample_at=NOW), False),  # of a turn nobody knows
    ],
)
def test_whose_turn_it_is(message: Message, own: bool) -> None:
    assert heard().note(message, NOW, "replay") is own


def test_a_step_ends_with_its_turn() -> None:
    claim = heard(expect="BLUE", expect_heard="what")
    claim.note(onset(NOW + MS), NOW, "replay")
    assert not claim.over(NOW + 10 * S)
    claim.complete(record(NOW + 5 * S))  # of another turn
    assert not claim.over(NOW + 10 * S)
    claim.complete(record(NOW + MS))
    assert claim.over(NOW + 2 * S)
    (line,) = claim.lines("quiet")
    assert (line.step, line.heard, line.answer, line.ok, line.dropped) == (7, "what is it", "It is blue.", True, UNSET)


def test_a_step_is_not_over_while_it_is_being_said() -> None:
    claim = heard()
    claim.asked_at = 0
    claim.note(onset(NOW + MS), NOW, "replay")
    claim.complete(record(NOW + MS))
    assert not claim.over(NOW + 100 * S)


@pytest.mark.parametrize(
    ("messages", "after_s", "why"),
    [
        ([], NOTICE_S, "quiet"),
        ([SpeechDropped(turn=Turn(LIVE, NOW), stream="replay", why="too short")], SETTLE_S, "too short"),
        ([onset(NOW), SpeechDropped(turn=Turn(LIVE, NOW), stream="replay", why="muted")], SETTLE_S, "muted"),
        ([onset(NOW)], ANSWER_S, "no answer"),
    ],
)
def test_a_step_that_opened_no_turn_says_why(messages: list[Message], after_s: float, why: str) -> None:
    claim = heard(expect_dropped=why)
    for message in messages:
        claim.note(message, NOW + 2 * S, "replay")
    assert not claim.over(NOW + 2 * S + int(after_s * S) - MS)
    assert claim.over(NOW + 2 * S + int(after_s * S) + MS)
    (line,) = claim.lines("quiet")
    assert (line.turn, line.dropped, line.ok) == (None, why, True)


def test_speech_that_goes_on_after_a_cough_is_waited_for() -> None:
    claim = heard()
    claim.note(SpeechDropped(turn=Turn(LIVE, NOW), stream="replay", why="too short"), NOW + S, "replay")
    claim.note(onset(NOW + S), NOW + S, "replay")
    assert not claim.over(NOW + 5 * S)
    claim.complete(record(NOW + S))
    assert [line.dropped for line in claim.lines("quiet")] == [UNSET]


def test_a_typed_turn_is_known_by_its_time_alone() -> None:
    claim = Claim(1, Step(ask="x"), NOW, typed=True)
    assert not claim.note(onset(NOW + MS), NOW, "replay")
    assert claim.note(TurnStarted(turn=Turn(LIVE, NOW), text="x", spoken=False, last_sample_at=NOW), NOW, "replay")
    claim.complete(record(NOW))
    assert len(claim.records) == 1


@pytest.mark.parametrize(
    ("expected", "dropped", "why"),
    [
        ({"expect": "red"}, "", "expected the answer /red/"),
        ({"expect_heard": "cube"}, "", "expected to hear /cube/"),
        ({"expect_dropped": "."}, "", "expected no turn because of /./, was answered ('It is blue.')"),
        ({"expect": "blue"}, "muted", "expected a turn, was dropped (muted)"),
        ({"expect_heard": "what"}, "muted", "expected a turn, was dropped (muted)"),
        ({"expect_dropped": "short"}, "muted", "expected no turn because of /short/, was dropped (muted)"),
        ({}, "muted", ""),
    ],
)
def test_what_did_not_hold_is_told(expected: dict[str, str], dropped: str, why: str) -> None:
    claim = heard(**expected)
    claim.note(onset(NOW), NOW, "replay")
    if dropped:
        claim.note(SpeechDropped(turn=Turn(LIVE, NOW), stream="replay", why=dropped), NOW, "replay")
    else:
        claim.complete(record(NOW))
    (line,) = claim.lines("quiet")
    assert (line.ok, line.why) == (not why, why)


def test_steps_while_the_button_is_held_share_their_expectations() -> None:
    claim = Claim(1, Step(press=True), NOW, typed=False)
    claim.join(2, Step(expect_heard="what"))
    claim.join(3, Step(release=True, expect="red", interrupt_after_ms=5))
    claim.note(onset(NOW), NOW, "replay")
    claim.complete(told := record(NOW))
    claim.released_at = told.asked_at + 40_000_000
    (line,) = claim.lines("quiet")
    assert line.released_ms == 40
    assert (line.step, line.why, claim.interrupt_after_ms) == (3, "expected the answer /red/", 5)


def test_a_line_tells_the_keys_that_are_promised() -> None:
    keys = msgspec.json.decode(msgspec.json.encode(Line(step=1, typed=True)))
    assert "dropped" not in keys
    promised = "turn step heard answer frame_seq frame_age_ms prompt_tokens cached_tokens completion_tokens"
    assert set(promised.split()) | {"finish_reason", "spoken", "timings_ms", "ok", "why"} <= set(keys)


def test_a_line_tells_what_the_npu_cost() -> None:
    claim = heard()
    claim.note(onset(NOW), NOW, "replay")
    claim.complete(record(NOW, npu={"reply": NpuCost(1.23456, 20.0, "vision")}, memory_mb=500.0, tokens_per_s=4.0))
    told = msgspec.json.decode(msgspec.json.encode(claim.lines("")[0]))
    assert told["npu"] == {"reply": {"wait_ms": 1.235, "hold_ms": 20.0, "behind": "vision"}}
    assert (told["memory_mb"], told["tokens_per_s"]) == (500.0, 4.0)


def test_stages_count_from_the_end_of_the_speech() -> None:
    claim = heard()
    claim.note(onset(NOW), NOW, "replay")
    claim.complete(record(NOW, stages=(("speech", NOW, NOW + S), ("sound", NOW + S + 500 * MS, NOW + 2 * S))))
    assert claim.lines("")[0].stages == [("speech", -1000.0, 0.0), ("sound", 500.0, 1000.0)]
