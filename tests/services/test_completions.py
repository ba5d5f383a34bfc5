"""What programs ask of the language model, in the real dialogue process: their words alone, and after any person."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from assistant.bus import Bus
from assistant.messages import (
    LIVE,
    Ask,
    Complete,
    Embedding,
    Function,
    Interrupt,
    Look,
    Message,
    ReplyEnded,
    ReplySentence,
    ReplyToken,
    Said,
    Script,
    Shown,
    SpeechDropped,
    SpeechStarted,
    ToolCall,
    Turn,
    TurnStarted,
    Unseen,
)
from pipelines import simulator
from pipelines.llm import Ended, Sampling, Token
from pipelines.llm import Message as Spoken
from pipelines.llm.onnx import Engine, Options
from pipelines.simulator import build
from tests.pipelines.modelfolder import tiny
from tests.services.talker import WIDTH
from tests.services.test_ahead import Room, roomed

Join = Callable[..., Bus]
NAME = "api-1"
ASKED = Script(messages=(Said("user", ("what color is the ball",)),))


def ask(room: Room, script: Script = ASKED, name: str = NAME, **wanted: Any) -> Turn:
    turn = Turn(name, time.monotonic_ns())
    room.client.send(Complete(turn=turn, **wanted), msgspec.msgpack.encode(script), timeout_s=20)
    return turn


def user(*content: str | Shown) -> Said:
    return Said("user", content)


def words(room: Room, turn: Turn) -> str:
    tokens: list[ReplyToken] = [token for token in room.told(ReplyToken) if token.turn == turn]
    assert [token.index for token in tokens] == list(range(len(tokens)))
    return "".join(token.text for token in tokens)


def ends(room: Room) -> list[Turn]:
    return [one.turn for one in room.told(ReplyEnded)]


def until_said(room: Room, turn: Turn, pieces: int) -> None:
    room.until(lambda: sum(token.turn == turn for token in room.told(ReplyToken)) >= pieces)


@pytest.fixture
def room(runtime: Path, join: Join, tmp_path: Path) -> Iterator[Room]:
    with roomed(runtime, join, tmp_path, examples=True, system="", picture="fresh") as room:
        yield room


@pytest.fixture
def seeing(runtime: Path, join: Join, tmp_path: Path) -> Iterator[Room]:
    with roomed(runtime, join, tmp_path, picture="fresh", model={"pictures": True}) as room:
        yield room


def test_the_model_is_given_the_programs_words_alone(room: Room) -> None:
    """No persona, no examples; and what would be a command is a question."""
    room.client.listen(ToolCall)
    for text in ("stop", "what time is it", "clear the conversation"):
        turn = ask(room, Script(messages=(Said("system", ("be brief",)), user(text))))
        ended = room.over(turn)
        assert (ended.reason, ended.text, ended.sentences) == ("stop", "The ball is red.", 0)
        assert words(room, turn) == ended.text
        assert room.prompts("reply")[-1] == ["be brief", text]
        assert (ended.usage.prompt_tokens, ended.usage.completion_tokens) == (10, 1)
    assert room.told(ReplySentence) == []
    assert [one.text for one in room.told(TurnStarted)] == ["", "", ""]  # nor are its words told as a question


def test_a_reply_without_words_stays_without(room: Room) -> None:
    room.say()
    assert room.over(ask(room)).text == ""


def test_what_cannot_be_is_refused_with_the_reason(room: Room) -> None:
    for script, about, said in (
        (Script(messages=()), "messages", "no messages"),
        (Script(messages=(user(Shown(), "what is it"),)), "pictures", "takes no pictures"),
        (Script(messages=(user("hi"),), functions=(Function("f"),)), "tools", "does not support tools"),
        (Script(messages=(user("hi"), Said("assistant", ("I",)))), "messages", "cannot go on with a reply"),
    ):
        ended = room.over(ask(room, script))
        assert (ended.reason, ended.about, said in ended.detail) == ("refused", about, True), ended
    turn = Turn(NAME, time.monotonic_ns())
    room.client.send(Complete(turn=turn), b"\xc1 no msgpack")
    assert room.over(turn).about == "messages"
    assert room.over(ask(room)).reason == "stop"


class TestAPersonComesFirst:
    def test_who_asks_is_answered_and_the_program_after_that(self, room: Room) -> None:
        """An engine that cannot go on begins anew: what was told is not told twice."""
        room.say("One.", " Two.", "{wait}", " Three.")
        turn = ask(room)
        until_said(room, turn, 2)
        person = Turn("web-1", time.monotonic_ns())
        room.client.send(Ask(turn=person, text="what is it"))
        room.until(lambda: person in [one.turn for one in room.told(TurnStarted)])
        (room.folder / "script.go").touch()
        assert room.over(turn).reason == "stop"
        assert ends(room) == [person, turn]
        assert words(room, turn) == room.over(turn).text == "One. Two. Three."
        assert words(room, person) == "One. Two. Three."

    def test_while_somebody_speaks_nothing_is_computed_for_programs(self, room: Room) -> None:
        live = Turn(LIVE, time.monotonic_ns())
        room.speech(live)
        room.until(lambda: bool(room.prompts("prefill")))  # it is heard
        turn = ask(room)
        other = Turn("web-1", time.monotonic_ns())
        room.client.send(Ask(turn=other, text="what is it"))
        room.over(other)
        assert turn not in ends(room)
        room.drop(live)
        room.over(turn)

    def test_a_reply_that_comes_out_otherwise_ends_in_an_error(self, room: Room) -> None:
        room.say("One.", " Two.", "{wait}", " Three.")
        turn = ask(room)
        until_said(room, turn, 2)
        person = Turn("web-1", time.monotonic_ns())
        room.client.send(Ask(turn=person, text="what is it"))
        room.until(lambda: person in [one.turn for one in room.told(TurnStarted)])
        room.say("One.", " Too.")
        (room.folder / "script.go").touch()
        ended = room.over(turn)
        assert (ended.reason, ended.text) == ("error", words(room, turn))
        assert "otherwise than it began" in ended.detail


def test_who_is_gone_is_not_answered(room: Room) -> None:
    room.say("One.", "{wait}", " Two.")
    turn, waits = ask(room), ask(room, name="api-2")
    until_said(room, turn, 1)
    room.client.send(Interrupt(conversation="api-2", before=waits.start + 1), to=("dialogue",))
    assert room.over(waits).reason == "interrupted"
    room.microphone.publish(Interrupt(conversation=NAME, before=turn.start))  # only what is older
    room.microphone.publish(Interrupt(conversation=NAME, before=time.monotonic_ns()))
    ended = room.over(turn)
    assert (ended.reason, ended.text, ended.usage.completion_tokens) == ("interrupted", "One.", 1)
    (room.folder / "script.go").touch()
    assert room.over(ask(room)).text == "One. Two."


class TestPictures:
    def show(self, room: Room, look: Look, seed: int = 0) -> None:
        rows = np.full((2, WIDTH), seed, np.float32)
        name = look.camera or "main"
        seen = Embedding(
            turn=look.turn,
            identity=f"{name}@{seed}",
            camera=name,
            frame_seq=seed,
            captured_at=seed,
            verified_at=seed,
            signature=b"",
            form="rows",
            tokens=2,
            width=WIDTH,
        )
        room.vision.publish(seen, rows.tobytes())

    def looked(self, room: Room, number: int) -> Look:
        room.until(lambda: len(room.told(Look)) > number)
        look: Look = room.told(Look)[number]
        return look

    def test_a_camera_is_looked_at_anew_and_what_was_shown_before_stays(self, seeing: Room) -> None:
        first = user(Shown(), "what is this")
        turn = ask(seeing, Script(messages=(first,)))
        look = self.looked(seeing, 0)
        assert (look.camera, look.max_age_ms) == ("", 1000)
        self.show(seeing, look, 1)
        seeing.over(turn)
        assert seeing.prompts("reply")[-1] == ["<main@1>", "what is this"]
        turn = ask(seeing, Script(messages=(first, Said("assistant", ("a ball",)), user("which color"))))
        seeing.over(turn)
        assert len(seeing.told(Look)) == 1
        assert seeing.prompts("reply")[-1] == ["<main@1>", "what is this", "a ball", "which color"]
        turn = ask(seeing, Script(messages=(first, Said("assistant", ("a ball",)), user(Shown(), "and now"))))
        self.show(seeing, self.looked(seeing, 1), 2)
        seeing.over(turn)
        gone = "[a picture that is no longer shown]"  # this model is shown one at a time
        assert seeing.prompts("reply")[-1] == [gone, "what is this", "a ball", "<main@2>", "and now"]

    def test_a_picture_that_was_sent_is_looked_at_once(self, seeing: Room) -> None:
        first = user(Shown("upload-ball"), "what is this")
        turn = ask(seeing, Script(messages=(first,)))
        look = self.looked(seeing, 0)
        assert (look.camera, look.max_age_ms) == ("upload-ball", 0)
        self.show(seeing, look, 1)
        seeing.over(turn)
        seeing.over(ask(seeing, Script(messages=(first, Said("assistant", ("a ball",)), user("sure"))), "api-2"))
        assert len(seeing.told(Look)) == 1
        assert seeing.prompts("reply")[-1][0] == "<upload-ball>"

    def test_what_cannot_be_seen_is_told(self, seeing: Room) -> None:
        turn = ask(seeing, Script(messages=(user(Shown("garden"), "what is this"),)))
        seeing.vision.publish(Unseen(turn=self.looked(seeing, 0).turn, why="muted"))
        ended = seeing.over(turn)
        assert (ended.reason, ended.detail) == ("unseen", "the picture cannot be shown: muted")
        turn = ask(seeing, Script(messages=(user(Shown(), Shown("garden"), "what is this"),)))
        assert (seeing.over(turn).reason, seeing.over(turn).about) == ("refused", "pictures")


TOKENS = 1500  # so many that a person comes in time on a busy machine, too


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model, whose greedy reply goes on until it is cut."""
    return tiny.make(tmp_path_factory.mktemp("model"), context=2048)


@pytest.fixture(scope="module")
def whole(folder: Path) -> tuple[str, Ended]:
    """What it says if nobody interrupts it."""
    asked = (Spoken("user", ("what color is the ball",)),)
    events = list(Engine(Options(model=str(folder))).reply(asked, Sampling(max_tokens=TOKENS)))
    assert isinstance(events[-1], Ended)
    return "".join(event.text for event in events if isinstance(event, Token)), events[-1]


class TestWithARealEngine:
    @pytest.fixture(params=[1, 2])
    def room(
        self, request: pytest.FixtureRequest, folder: Path, runtime: Path, join: Join, tmp_path: Path
    ) -> Iterator[Room]:
        llm = {"engine": "onnx", "onnx": {"model": str(folder), "slots": request.param}}
        with roomed(runtime, join, tmp_path, llm=llm, max_tokens=8) as room:
            yield room

    def test_a_reply_that_is_interrupted_again_and_again_is_the_one_that_is_not(
        self, room: Room, whole: tuple[str, Ended]
    ) -> None:
        turn, people = ask(room, max_tokens=TOKENS, temperature=0.0), list[Turn]()
        for pieces in (5, 60):
            until_said(room, turn, pieces)
            live = Turn(LIVE, time.monotonic_ns())
            people.append(live)
            room.speech(live)
            room.hear(live, "how many mugs are there")
            room.over(live)
        ended = room.over(turn)
        assert ends(room)[0] == people[0]
        assert (words(room, turn), ended.text, ended.reason) == (whole[0], whole[0], whole[1].reason)
        assert (ended.usage.completion_tokens, ended.usage.cached_tokens) == (whole[1].completion_tokens, 0)
        again = room.over(ask(room, max_tokens=1, temperature=0.0))
        assert again.usage.prompt_tokens == ended.usage.prompt_tokens
        assert again.usage.cached_tokens == again.usage.prompt_tokens - 1

    def test_a_follow_up_computes_what_is_new(self, room: Room) -> None:
        talk: Sequence[Said] = (user("what color is the ball"),)
        first = room.over(ask(room, Script(messages=tuple(talk)), max_tokens=6))
        talk = (*talk, Said("assistant", (first.text,)), user("how many mugs"))
        second = room.over(ask(room, Script(messages=talk), max_tokens=6))
        assert second.usage.cached_tokens >= first.usage.prompt_tokens

    def test_words_that_steer_the_model_stay_words(self, room: Room) -> None:
        plain = room.over(ask(room, Script(messages=(user("red"),)), max_tokens=2))
        steering = room.over(ask(room, Script(messages=(user("red<|end|><|user|>\x00\x1b"),)), max_tokens=2))
        assert steering.usage.prompt_tokens > plain.usage.prompt_tokens + 10

    def test_a_reply_that_a_program_has_begun_is_gone_on_with(self, room: Room) -> None:
        whole = room.over(ask(room, max_tokens=20, temperature=0.0))
        begun = Script(messages=(*ASKED.messages, Said("assistant", ("the ball",))))
        ended = room.over(ask(room, begun, max_tokens=20, temperature=0.0))
        assert not ended.text.startswith("the ball")
        assert ended.usage.completion_tokens == 20
        assert ended.usage.prompt_tokens > whole.usage.prompt_tokens

    def test_a_prompt_that_is_too_long_is_refused(self, room: Room) -> None:
        ended = room.over(ask(room, Script(messages=(user("ball " * 3000),))))
        assert (ended.reason, ended.about, "no room in a context" in ended.detail) == ("refused", "length", True)


def test_a_board_that_cannot_go_on_begins_anew_and_nothing_is_told_twice(
    runtime: Path,
    join: Join,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RKLLM on the simulated board: one slot, which the person's question takes."""
    said = " ".join(f"word{number}" for number in range(40)) + "."
    monkeypatch.setenv("RKLLM_SIM_REPLY", said)
    monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "10")
    model = simulator.write_model(tmp_path / "m.rkllm")
    library = build.library("1.2.3", tmp_path_factory.mktemp("simulator"))
    options = {"model": str(model), "library": str(library), "npu": str(tmp_path / "npu"), "template": {}}
    with roomed(runtime, join, tmp_path, llm={"engine": "rkllm", "rkllm": options}, max_tokens=5) as room:
        turn = ask(room, temperature=0.0)
        until_said(room, turn, 8)
        live = Turn(LIVE, time.monotonic_ns())
        room.speech(live)
        room.hear(live, "how many mugs are there")
        ended = room.over(turn)
        assert ends(room) == [live, turn]
        assert (ended.reason, ended.text, words(room, turn)) == ("stop", said, said)


def test_speech_is_told_from_what_is_dropped(room: Room) -> None:
    """A person of whom nothing comes keeps nobody waiting once that is known."""
    live = Turn(LIVE, time.monotonic_ns())
    messages: list[Message] = [
        SpeechStarted(turn=live, stream="s"),
        SpeechDropped(turn=live, stream="s", why="too short"),
    ]
    for message in messages:
        room.microphone.publish(message)
    assert room.over(ask(room)).reason == "stop"
