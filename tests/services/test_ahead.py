"""Work on a question that is not yet asked, in the real dialogue process; the test is its microphone and its eyes."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.bus import Bus
from assistant.messages import (
    LIVE,
    CameraState,
    Cleared,
    Embedding,
    Guess,
    Heard,
    Heartbeat,
    Look,
    Message,
    PictureBound,
    ReplyEnded,
    ReplySentence,
    ReplyToken,
    SpeakerIdle,
    SpeechDropped,
    SpeechStarted,
    Spoken,
    Thinking,
    Turn,
    TurnStarted,
)
from assistant.wire import Received
from tests import processes
from tests.processes import ended, started
from tests.services.talker import WIDTH

Join = Callable[..., Bus]
PATIENCE_S = 20.0
TOLD = (TurnStarted, PictureBound, ReplyToken, ReplySentence, ReplyEnded, Cleared)


class Room:
    """A dialogue process with everything around it."""

    def __init__(self, join: Join, folder: Path) -> None:
        self.folder = folder
        self.microphone, self.vision, self.speaker = join("microphone"), join("vision"), join("speaker")
        self.camera = join("camera")
        self.client = join()
        self.client.listen(*TOLD, Look, Thinking, Heartbeat)
        self.heard: list[Received] = []
        self.say("The ball is red.")

    def say(self, *pieces: str) -> None:
        """What the model replies from now on."""
        (self.folder / "script.json").write_text(json.dumps(pieces))

    def await_subscribers(self) -> None:
        assert self.client.wait_for(Heartbeat, PATIENCE_S) is not None  # what it says is heard from now on
        self.until(lambda: _wanted(self.microphone, Heard) and _wanted(self.vision, Embedding))
        self.until(lambda: _wanted(self.speaker, SpeakerIdle) and _wanted(self.camera, CameraState))

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, [received.message for received in self.heard]
            received = self.client.receive(0.02)
            if received is not None and not isinstance(received.message, Heartbeat):
                self.heard.append(received)

    def prompts(self, what: str) -> list[list[str]]:
        """The prompts that the model was given, without what opens each."""
        path = self.folder / "log"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line[1:] for line in lines if line[0] == what]

    def told(self, *kinds: type[Message]) -> list[Any]:
        return [received.message for received in self.heard if isinstance(received.message, kinds or TOLD)]

    def over(self, turn: Turn) -> ReplyEnded:
        def whole() -> bool:
            return any(one.turn == turn for one in self.told(ReplyEnded))

        self.until(whole)
        ends: list[ReplyEnded] = self.told(ReplyEnded)
        return next(one for one in ends if one.turn == turn)

    # --- what the services around it publish ---

    def speech(self, turn: Turn) -> None:
        self.microphone.publish(SpeechStarted(turn=turn, stream="s"))

    def guess(self, turn: Turn, text: str) -> None:
        """Returns when the model has answered it, if it is to be answered."""
        count = len(self.prompts("reply"))
        self.microphone.publish(Guess(turn=turn, stream="s", text=text, last_sample_at=turn.start))
        self.until(lambda: len(self.prompts("reply")) > count)

    def hear(self, turn: Turn, text: str) -> None:
        self.microphone.publish(Heard(turn=turn, stream="s", text=text, last_sample_at=turn.start))

    def drop(self, turn: Turn) -> None:
        self.microphone.publish(SpeechDropped(turn=turn, stream="s", why="nothing understood"))

    def spoken(self, turn: Turn, text: str = "The ball is red.") -> None:
        self.speaker.publish(Spoken(turn=turn, index=0, text=text, complete=bool(text)))
        self.speaker.publish(SpeakerIdle(turn=turn))


def _wanted(bus: Bus, kind: type[Message]) -> bool:
    bus.receive(0.0)
    return bus.wanted(kind)


@contextmanager
def roomed(runtime: Path, join: Join, tmp_path: Path, code: int = 0, **settings: Any) -> Iterator[Room]:
    name = "tests.services.talker:Engine"
    own = settings.pop("model", {})
    llm = {"engine": name, name: {"script": str(tmp_path / "script.json"), "log": str(tmp_path / "log"), **own}}
    given = {"llm": llm, "picture": "never", "examples": False, "system": " ", "sampling": "greedy", **settings}
    command = processes.service(runtime, "dialogue", "assistant.services.dialogue", **given)
    room = Room(join, tmp_path)
    with started(command, ASSISTANT_THERMAL=str(tmp_path)) as process:
        room.await_subscribers()
        yield room
        if not code:
            process.terminate()
        ends, said = ended(process)
        assert (ends, "Traceback" in said) == (code, bool(code)), said


@pytest.fixture
def room(runtime: Path, join: Join, tmp_path: Path) -> Iterator[Room]:
    with roomed(runtime, join, tmp_path) as room:
        yield room


def turns() -> tuple[Turn, Turn, Turn, Turn]:
    """One turn in its revisions."""
    start = time.monotonic_ns()
    return Turn(LIVE, start), Turn(LIVE, start, 1), Turn(LIVE, start, 2), Turn(LIVE, start, 3)


def test_an_answer_begun_in_the_pause_is_told_when_the_question_is_certain(room: Room) -> None:
    zero, one, *_ = turns()
    room.speech(zero)
    room.until(lambda: room.prompts("prefill") == [[" ", ""]])
    room.until(lambda: bool(room.told(Thinking)))  # a guess that comes sooner finds nothing that could be told
    room.guess(one, "what is it")
    assert room.told() == []
    room.hear(one, "what is it")
    end = room.over(one)
    assert (end.text, end.usage.wasted_ms) == ("The ball is red.", 0.0)
    assert [type(message) for message in room.told()] == [TurnStarted, ReplyToken, ReplySentence, ReplyEnded]
    assert len(room.prompts("reply")) == 1
    ahead = room.told(Thinking)
    assert [one.ahead for one in ahead][:1] == [True]
    assert end.usage.first_token_at < room.heard[-1].stamp.sent_at
    room.spoken(one)
    again = turns()[1]
    room.hear(again, "and now")
    room.over(again)
    assert room.prompts("reply")[-1] == [" ", "what is it", "The ball is red.", "and now"]


def test_a_wrong_guess_leaves_nothing_but_its_cost(room: Room) -> None:
    zero, one, two, three = turns()
    room.speech(zero)
    room.guess(one, "what is")
    room.speech(two)
    room.guess(three, "what is it")
    room.hear(three, "what is it not")  # nor was it that
    end = room.over(three)
    assert [message.text for message in room.told(TurnStarted)] == ["what is it not"]
    assert len(room.told(ReplyEnded)) == 1
    assert room.prompts("reply")[-1] == [" ", "what is it not"]
    assert end.usage.wasted_ms > 0
    assert end.usage.wasted_npu_ms == 0  # there is none


def test_a_guess_of_a_command_or_of_nothing_does_nothing(room: Room) -> None:
    zero = turns()[0]
    room.hear(zero, "what is it")
    room.over(zero)
    room.spoken(zero)
    later = turns()[1]
    room.microphone.publish(Guess(turn=later, stream="s", text="clear the conversation", last_sample_at=later.start))
    room.drop(later)
    again = turns()[1]
    room.speech(again)
    room.guess(again, "of what color")
    room.drop(again)
    last = turns()[1]
    room.hear(last, "repeat that")
    assert room.over(last).text == "The ball is red."
    assert room.told(Cleared) == []
    assert [message.text for message in room.told(TurnStarted)] == ["what is it", "repeat that"]


def test_a_question_that_goes_on_replaces_what_it_was(room: Room) -> None:
    _, one, two, three = turns()
    room.hear(one, "what is it")
    room.over(one)  # its answer is with the speaker, and has not begun to sound
    room.speech(two)
    room.hear(three, "what is it and why")
    room.over(three)
    room.spoken(one, "")  # the speaker dropped it
    room.spoken(three)
    later = turns()[1]
    room.hear(later, "so")
    room.over(later)
    assert room.prompts("reply")[-1] == [" ", "what is it and why", "The ball is red.", "so"]


def test_a_question_that_did_not_go_on_after_all_is_answered(room: Room) -> None:
    _, one, two, _ = turns()
    room.hear(one, "what is it")
    room.over(one)
    room.speech(two)
    room.drop(two)
    assert room.over(two).text == "The ball is red."
    assert room.prompts("reply") == [[" ", "what is it"]] * 2


def test_the_picture_is_in_the_prompt_before_the_question(runtime: Path, join: Join, tmp_path: Path) -> None:
    with roomed(runtime, join, tmp_path, picture="fresh", model={"pictures": True}) as room:
        zero, one, *_ = turns()
        room.camera.publish(CameraState(camera="main", state="live", called=("main",)))
        room.speech(zero)
        room.until(lambda: [look.ahead for look in room.told(Look)] == [True])
        shown: dict[str, Any] = {"camera": "main", "frame_seq": 1, "captured_at": 5, "signature": b"", "identity": "a"}
        rows = np.zeros((2, WIDTH), np.float32)
        seen = Embedding(turn=zero, verified_at=5, form="rows", tokens=2, width=WIDTH, ahead=True, **shown)
        room.vision.publish(seen, rows.tobytes())
        room.until(lambda: room.prompts("prefill") == [[" ", "<a>", ""]])
        room.microphone.publish(Guess(turn=one, stream="s", text="what is it", last_sample_at=one.start))
        room.until(lambda: len(room.told(Look)) == 2)
        look = room.told(Look)[1]
        assert (look.turn, look.known, look.ahead, look.anew) == (one, "a", False, False)
        room.vision.publish(Embedding(turn=one, verified_at=9, form="unchanged", **shown))
        room.until(lambda: room.prompts("reply") == [[" ", "<a>", "what is it"]])
        room.hear(one, "what is it")
        room.over(one)
        bound = room.told(PictureBound)[0]
        assert (bound.identity, bound.fresh, bound.verified_at) == ("a", True, 9)


def test_the_picture_of_another_scene_takes_the_place_of_the_one_looked_at_ahead(
    runtime: Path, join: Join, tmp_path: Path
) -> None:
    with roomed(runtime, join, tmp_path, picture="fresh", model={"pictures": True}) as room:
        zero, one, *_ = turns()
        room.speech(zero)
        shown: dict[str, Any] = {"camera": "main", "frame_seq": 1, "captured_at": 5, "signature": b"", "width": WIDTH}
        rows = np.zeros((2, WIDTH), np.float32).tobytes()
        room.until(lambda: bool(room.told(Look)))
        room.vision.publish(
            Embedding(turn=zero, identity="a", verified_at=5, form="rows", tokens=2, ahead=True, **shown), rows
        )
        room.until(lambda: bool(room.told(Thinking)))
        room.hear(one, "what is it")
        room.until(lambda: len(room.told(Look)) == 2)
        room.vision.publish(Embedding(turn=one, identity="b", verified_at=9, form="rows", tokens=2, **shown), rows)
        end = room.over(one)
        assert room.prompts("reply") == [[" ", "<b>", "what is it"]]
        assert room.told(PictureBound)[0].identity == "b"
        assert end.usage.wasted_ms > 0


def test_a_hot_board_does_nothing_ahead(runtime: Path, join: Join, tmp_path: Path) -> None:
    zone = tmp_path / "thermal_zone0"
    zone.mkdir()
    (zone / "type").write_text("npu-thermal\n")
    (zone / "temp").write_text("95000\n")
    with roomed(runtime, join, tmp_path) as room:
        hot = room.client.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.figures.get("spare_npu") == 1.0)
        assert hot is not None
        zero, one, *_ = turns()
        room.speech(zero)
        room.microphone.publish(Guess(turn=one, stream="s", text="what is it", last_sample_at=one.start))
        room.hear(one, "what is it not")
        assert room.over(one).usage.wasted_ms == 0
        assert room.prompts("prefill") == []
        assert room.prompts("reply") == [[" ", "what is it not"]]


def test_a_model_that_never_returns_is_apologised_for_and_started_anew(
    runtime: Path, join: Join, tmp_path: Path
) -> None:
    with roomed(runtime, join, tmp_path, code=1, answer_s=0.5) as room:
        _, one, *_ = turns()
        room.hear(one, "what is it")
        room.over(one)
        room.spoken(one)
        room.say("It ", "{hang}")
        later = turns()[1]
        room.hear(later, "and why")
        end = room.over(later)
        assert (end.reason, "start again" in end.text, end.text.startswith("It")) == ("error", True, True)
        assert "has not come on" in end.detail
    (tmp_path / "log").unlink()
    for bus in (room.microphone, room.vision, room.speaker, room.camera):
        bus.close()
    with roomed(runtime, join, tmp_path) as room:
        last = turns()[1]
        room.hear(last, "so")
        room.over(last)
        assert room.prompts("reply")[0][:4] == [" ", "what is it", "The ball is red.", "and why"]


def test_a_question_while_the_model_loads_is_told_why_it_waits(runtime: Path, join: Join, tmp_path: Path) -> None:
    """A short wait is borne."""
    with roomed(runtime, join, tmp_path, model={"loads": str(tmp_path / "loaded")}) as room:
        _, one, *_ = turns()
        room.hear(one, "what is it")
        end = room.over(one)
        assert (end.reason, end.text) == ("unseen", "I am still getting ready. Please wait a moment.")
        later = turns()[1]
        room.hear(later, "and now")
        (tmp_path / "loaded").touch()
        assert room.over(later).text == "The ball is red."
