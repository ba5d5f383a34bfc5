"""What is encoded before anyone asks: for speech within its share of the time, for idle scenes out of savings."""

import numpy as np
import pytest

from assistant.core.frames import SAME_SCENE, signature
from assistant.core.gaze import HANDS_MS, Gaze, Watch
from assistant.messages import LIVE, Embedding, Frame, Look, Turn

S = 1_000_000_000
SIGNED = {level: signature(np.full((48, 64, 3), level, np.uint8)) for level in range(0, 256, 50)}


def frame(level: int, seq: int = 1) -> Frame:
    return Frame(camera="main", seq=seq, captured_at=seq, width=64, height=48, signature=SIGNED[level])


def spoken(gaze: Gaze, start: int) -> Watch:
    gaze.begin(Look(turn=Turn(LIVE, start), until=start + 30 * S, ahead=True))
    assert gaze.watch is not None
    return gaze.watch


def seen(level: int, captured_at: int) -> Embedding:
    return Embedding(
        turn=Turn(LIVE, 1), identity=str(captured_at), camera="main", frame_seq=1, captured_at=captured_at,
        verified_at=captured_at, signature=SIGNED[level], form="rows",
    )  # fmt: skip


def test_a_television_does_not_keep_the_npu_busy() -> None:
    gaze, spent = Gaze(SAME_SCENE, speech_duty=0.1, idle_duty=0.0), 0.0
    gaze.encoded(2000.0)
    for start in range(1, 600 * S, 4 * S):
        watch = spoken(gaze, start)
        if gaze.may_encode(watch, frame(100), start):
            gaze.spend(watch, 2000.0, start)
            spent += 2000.0
        gaze.stop(watch.look.turn)
        assert not gaze.may_encode(watch, frame(100), start + 1)
    assert 0.05 * 600_000 < spent <= 0.1 * 600_000 + HANDS_MS + 2000.0


def test_questions_are_always_worked_for() -> None:
    gaze = Gaze(SAME_SCENE, speech_duty=0.0, idle_duty=0.0)
    for start in range(1, 400 * S, 4 * S):
        watch = spoken(gaze, start)
        assert gaze.may_encode(watch, frame(100), start)
        gaze.spend(watch, 1000.0, start)
        watch.shown = SIGNED[100]
        gaze.asked(watch.look.turn, frame(100))


def test_a_change_is_encoded_when_it_has_come_to_rest() -> None:
    gaze = Gaze(SAME_SCENE, 0.1, 0.0)
    watch = spoken(gaze, S)
    assert gaze.may_encode(watch, frame(100), S)  # the first at once
    watch.shown = SIGNED[100]
    assert not gaze.may_encode(watch, frame(200), S)
    assert not gaze.may_encode(watch, frame(0), S)
    assert gaze.may_encode(watch, frame(0), S)


def test_what_may_become_speech_is_worked_for_within_the_share() -> None:
    gaze, spent = Gaze(SAME_SCENE, speech_duty=0.1, idle_duty=0.0), 0.0
    gaze.encoded(2000.0)
    assert not gaze.may_begin(0)
    for now in range(1, 600 * S, 2 * S):
        gaze.voice(now)
        if gaze.may_begin(now):
            gaze.begun(2000.0, now)
            spent += 2000.0
        assert not gaze.may_begin(now)  # once
        assert not gaze.may_begin(now + S)  # nor when nothing came of it
    assert 0.05 * 600_000 < spent <= 0.1 * 600_000 + HANDS_MS + 2000.0


def test_what_was_spent_at_the_first_sound_is_the_turns_and_given_back_with_it() -> None:
    gaze = Gaze(SAME_SCENE, speech_duty=0.0, idle_duty=0.0)
    for start in range(1, 400 * S, 4 * S):
        gaze.voice(start)
        assert gaze.may_begin(start)
        gaze.begun(1000.0, start)
        watch = spoken(gaze, start)
        assert watch.spent_ms == 1000.0
        gaze.asked(watch.look.turn, frame(100))


@pytest.mark.parametrize("asked_first", [False, True])
def test_so_is_what_is_done_only_when_it_has_become_speech(asked_first: bool) -> None:
    gaze = Gaze(SAME_SCENE, speech_duty=0.0, idle_duty=0.0)
    for start in range(1, 400 * S, 4 * S):
        gaze.voice(start)
        assert gaze.may_begin(start)
        watch = spoken(gaze, start)
        if asked_first:
            gaze.asked(watch.look.turn, frame(100))
        gaze.begun(1000.0, start)
        gaze.asked(watch.look.turn, frame(100))


def test_what_nothing_comes_of_is_not_given_back_with_the_next_speech() -> None:
    gaze, begun = Gaze(SAME_SCENE, speech_duty=0.0, idle_duty=0.0), 0
    for start in range(1, 400 * S, 4 * S):
        gaze.voice(start)
        if gaze.may_begin(start):
            gaze.begun(1000.0, start)
            begun += 1
        gaze.voice(start + S)  # the next one is another
        gaze.asked(spoken(gaze, start + S).look.turn, frame(100))
    assert begun == HANDS_MS / 1000.0


def test_a_scene_that_never_holds_is_no_longer_encoded_for_long_jobs() -> None:
    gaze = Gaze(SAME_SCENE, 0.1, 0.0)
    gaze.encoded(4000.0)
    for start in range(1, 80 * S, 4 * S):
        watch = spoken(gaze, start)
        watch.shown = SIGNED[100]
        gaze.asked(watch.look.turn, frame(200))
    assert not gaze.may_encode(spoken(gaze, 90 * S), frame(100), 90 * S)


def test_idle_work_keeps_to_its_share() -> None:
    gaze, spent = Gaze(SAME_SCENE, 0.1, idle_duty=0.02), 0.0
    gaze.encoded(2000.0)
    for now in range(0, 3600 * S, S):
        if gaze.may_refresh(now):
            gaze.refreshed(2000.0, now)
            spent += 2000.0
    assert 0.015 * 3_600_000 < spent <= 0.02 * 3_600_000


def test_what_is_in_hand_does_if_it_shows_the_same_and_is_recent_enough() -> None:
    gaze, look = Gaze(SAME_SCENE, 0.1, 0.0), Look(turn=Turn(LIVE, 50), until=0)
    held = [seen(100, 10), seen(100, 20), seen(200, 30)]
    assert gaze.in_hand(held, look, frame(100)) is held[1]
    assert gaze.in_hand(held, look, frame(0)) is None
    anew = Look(turn=Turn(LIVE, 15), until=0, anew=True)
    assert gaze.in_hand(held, anew, frame(100)) is held[1]
    assert gaze.in_hand(held[:1], anew, frame(100)) is None
    assert gaze.in_hand(held, Look(turn=Turn(LIVE, 50), region="left", until=0), frame(100)) is None
