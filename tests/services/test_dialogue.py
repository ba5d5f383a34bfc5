"""The dialogue service, as a real process: how it keeps within what the board can bear, and what it says of itself."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant.bus import Bus
from assistant.core.personas import PERSONAS
from assistant.messages import (
    LIVE,
    Ask,
    Clear,
    DialogueState,
    Heard,
    Heartbeat,
    Interrupt,
    Message,
    Mute,
    Prefer,
    ReplyEnded,
    ReplySentence,
    Say,
    SpeakerState,
    Turn,
    TurnStarted,
    Volume,
)
from tests import processes
from tests.ends import until_wanted
from tests.processes import ended, started

Join = Callable[..., Bus]
PATIENCE_S = 20.0


class Talking:
    """A dialogue process, and what a client is told by it."""

    def __init__(self, client: Bus, folder: Path) -> None:
        self.client, self._folder = client, folder
        client.listen(Heartbeat, ReplyEnded)

    def health(self, holds: Callable[[Heartbeat], bool]) -> Heartbeat:
        beat = self.client.wait_for(Heartbeat, PATIENCE_S, holds)
        assert beat is not None
        return beat

    def ask(self, text: str, *pieces: str | None) -> ReplyEnded:
        """The end of the reply to a question, for which the model has these pieces."""
        (self._folder / "script.json").write_text(json.dumps(pieces))
        turn = Turn("test", time.monotonic_ns())
        self.client.send(Ask(turn=turn, text=text), timeout_s=PATIENCE_S)
        reply = self.client.wait_for(ReplyEnded, PATIENCE_S, lambda ended: ended.turn == turn)
        assert reply is not None
        return reply


@contextmanager
def talking(runtime: Path, join: Join, tmp_path: Path, **settings: Any) -> Iterator[Talking]:
    name = "tests.services.talker:Engine"
    llm = {"engine": name, name: {"script": str(tmp_path / "script.json")}}
    given = {"llm": llm, "picture": "never", **settings}
    command = processes.service(runtime, "dialogue", "assistant.services.dialogue", **given)
    with started(command, ASSISTANT_THERMAL=str(tmp_path)) as process:
        talk = Talking(join(), tmp_path)
        talk.health(lambda beat: beat.state in ("ready", "degraded"))
        yield talk
        process.terminate()
        code, said = ended(process)
        assert (code, "Traceback" in said) == (0, False), said


def warm(tmp_path: Path, celsius: float) -> None:
    zone = tmp_path / "thermal_zone4"
    zone.mkdir(exist_ok=True)
    (zone / "type").write_text("npu-thermal\n")
    (zone / "temp").write_text(f"{round(celsius * 1000)}\n")


def test_a_hot_board_gets_shorter_answers_until_it_has_cooled_down(runtime: Path, join: Join, tmp_path: Path) -> None:
    """Another trouble stays in health when the heat comes and goes."""
    warm(tmp_path, 60)
    (runtime / "history.db").write_bytes(b"no database" * 200)  # kept aside, and told of for as long as it runs
    with talking(runtime, join, tmp_path, max_tokens=150, hot_max_tokens=40) as talk:
        cool = talk.health(lambda beat: beat.state == "degraded" and "npu_celsius" in beat.figures)
        assert cool.figures["npu_celsius"] == 60
        assert "history.db cannot be used" in cool.detail
        assert talk.ask("how much?", "{max_tokens}").text == "150"
        warm(tmp_path, 84)
        hot = talk.health(lambda beat: "°C" in beat.detail)
        assert "the NPU has 84 °C (hot_c is 80)" in hot.detail
        assert "history.db cannot be used" in hot.detail
        assert talk.ask("how much?", "{max_tokens}").text == "40"
        warm(tmp_path, 77)  # not yet cool
        again = talk.health(lambda beat: beat.figures.get("npu_celsius") == 77)
        assert "84 °C" in again.detail
        warm(tmp_path, 74)
        cooled = talk.health(lambda beat: beat.figures.get("npu_celsius") == 74 and "°C" not in beat.detail)
        assert (cooled.state, "history.db cannot be used" in cooled.detail) == ("degraded", True)
        assert talk.ask("how much?", "{max_tokens}").text == "150"


def test_a_sensor_that_breaks_is_no_heat(runtime: Path, join: Join, tmp_path: Path) -> None:
    warm(tmp_path, 95)
    with talking(runtime, join, tmp_path, hot_c=90.0) as talk:
        assert talk.health(lambda beat: "°C" in beat.detail).state == "degraded"
        warm(tmp_path, 4000)
        beat = talk.health(lambda beat: beat.state == "ready")
        assert "npu_celsius" not in beat.figures
        assert talk.ask("how much?", "{max_tokens}").text == "200"


@pytest.mark.parametrize(
    ("question", "pieces", "said", "tokens"),
    [
        ("what is it", (None, None, "Red."), "Red.", 3),
        ("what is it", (None, None, None), "I thought about it for too long", 3),
        ("这是什么", (None,), "我想得太久", 1),
        ("what is it", (" ", "\n"), "I have no answer to that.", 2),
        ("what is it", (), "I have no answer to that.", 0),
    ],
)
def test_a_reply_that_says_nothing_is_answered_for(
    question: str, pieces: tuple[str | None, ...], said: str, tokens: int, talk: Talking
) -> None:
    reply = talk.ask(question, *pieces)
    assert said in reply.text
    assert (reply.reason, reply.usage.completion_tokens) == ("stop", tokens)


def test_health_tells_the_models_memory(talk: Talking) -> None:
    assert talk.ask("what is it", "Red.").usage.memory_mb == 123
    assert talk.health(lambda beat: "llm_memory_mb" in beat.figures).figures["llm_memory_mb"] == 123


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talking]:
    folder, buses = tmp_path_factory.mktemp("t"), []

    def join() -> Bus:
        buses.append(Bus(folder))
        return buses[-1]

    with talking(folder, join, folder) as talk:
        yield talk
    for bus in buses:
        bus.close()


def test_without_a_model_health_says_so_after_a_question_too(runtime: Path, join: Join, tmp_path: Path) -> None:
    with talking(runtime, join, tmp_path, llm={"engine": "auto"}) as talk:
        assert talk.ask("what is it").reason == "error"
        talk.ask("what is it")
        how = talk.ask("how are you running")
        assert re.fullmatch(r"The language model has a problem\. I have been running for .+\.", how.text)
        assert "no llm engine can run here" in how.detail
        beat = talk.health(lambda beat: True)
        assert (beat.state, "no llm engine can run here" in beat.detail) == ("degraded", True)


def test_who_spoke_for_too_long_is_answered_and_told_so(runtime: Path, join: Join, tmp_path: Path) -> None:
    with talking(runtime, join, tmp_path) as talk:
        (tmp_path / "script.json").write_text(json.dumps(["It is", " red."]))
        microphone = join("microphone")
        until_wanted(microphone, Heard)
        for start, cut in ((1, True), (2, False)):
            heard = Heard(turn=Turn(LIVE, start), stream="s", text="what is it", last_sample_at=start, cut=cut)
            microphone.publish(heard)
            reply = talk.client.wait_for(ReplyEnded, PATIENCE_S)
            assert reply is not None
            epilogue = " You spoke for very long; I only listened to the beginning." if cut else ""
            assert (reply.text, reply.sentences) == (f"It is red.{epilogue}", 1 + cut)


class TestWithoutTheLanguageModel:
    """Commands that are obeyed without it: the script is empty, so that its answers would be told from ours."""

    def test_the_time_the_date_and_itself(self, talk: Talking) -> None:
        for text, said in (
            ("What time is it?", r"^It is .+ (night|morning|afternoon|evening)|noon|midnight"),
            ("现在几点了？", "^现在是.+点"),
            ("what's the date today", r"^Today is \w+day, the "),
            ("今天几号", "^今天是二零.+日，星期"),
            ("who are you", "^I am an assistant"),
            ("你能做什么？", "^我可以"),
        ):
            reply = talk.ask(text)
            assert reply.reason == "command"
            assert re.search(said, reply.text), reply.text

    def test_what_was_said_last_is_repeated(self, talk: Talking) -> None:
        """The daemon's own words as well, which are no part of the conversation."""
        assert talk.ask("what is it", "Red.").text == "Red."
        who = talk.ask("who are you").text
        assert talk.ask("stop").text == ""
        assert talk.ask("repeat that").text == who
        assert talk.ask("once more").text == who
        assert talk.ask("what is it", "Blue.").text == "Blue."
        assert talk.ask("repeat that").text == "Blue."
        talk.ask("who are you")
        assert talk.ask("clear the conversation").text == "The conversation is cleared."
        assert talk.ask("repeat that").text == "The conversation is cleared."

    def test_how_it_runs(self, talk: Talking) -> None:
        reply = talk.ask("how are you running")
        assert (reply.reason, reply.text.split(".")[0]) == ("command", "All is well")
        assert "I think with talker" in reply.text
        assert talk.ask("你运行得怎么样").text.startswith("一切正常")

    def test_the_volume_is_the_speakers(self, runtime: Path, join: Join, tmp_path: Path) -> None:
        with talking(runtime, join, tmp_path) as talk:
            assert talk.ask("volume forty percent").text == "No speaker answers, so I cannot change the volume."
            assert talk.ask("mute").text == "No speaker answers, so I cannot change the volume."
            speaker, changes = join("speaker"), join()
            changes.listen(Volume, Mute)
            assert changes.wait_for(Heartbeat, PATIENCE_S) is not None  # from here on nothing is missed
            for text, said, message in (
                ("Set the volume to 40%.", "Volume forty percent.", Volume(level=0.4)),
                ("turn it up please", "Volume sixty percent.", Volume(step=1)),
                ("小声一点", "音量百分之四十。", Volume(step=-1)),
                ("volume fifty percent", "The volume stays at fifty percent.", Volume(level=0.5)),
                ("mute", "", Mute(device="speaker", muted=True)),
                ("取消静音", "声音已打开。", Mute(device="speaker", muted=False)),
                ("volume zero", "", Mute(device="speaker", muted=True)),
            ):
                self._told(talk, speaker, changes)
                reply = talk.ask(text)
                assert (reply.reason, reply.text) == ("command", said)
                assert changes.wait_for(type(message), PATIENCE_S) == message

    def _told(self, talk: Talking, speaker: Bus, changes: Bus) -> None:
        """The dialogue knows how loud the speaker is: it is asked until it does."""
        speaker.publish(SpeakerState(volume=0.5, muted=False))
        while "No speaker" in talk.ask("volume fifty percent").text:
            speaker.receive(0.01)
        assert changes.wait_for(Volume, PATIENCE_S) == Volume(level=0.5)


def test_what_is_preferred_holds_from_the_next_question_on_and_is_told_to_whoever_comes_later(
    runtime: Path, join: Join, tmp_path: Path
) -> None:
    log = tmp_path / "prompts.jsonl"
    name = "tests.services.talker:Engine"
    engine = {"engine": name, name: {"script": str(tmp_path / "script.json"), "log": str(log)}}
    with talking(runtime, join, tmp_path, llm=engine) as talk:
        talk.ask("what is it", "Red.")
        talk.client.send(Prefer(persona="inspector", language="zh"))
        state = talk.client.wait_for(DialogueState, PATIENCE_S, lambda state: state.language == "zh")
        assert state is not None
        assert (state.persona, state.picture, state.wants, state.context) == ("inspector", "never", "text", 4096)
        talk.ask("what is it", "Red.")
        systems = [json.loads(line)[1] for line in log.read_text().splitlines()]
        assert systems == [PERSONAS["plain"].system["en"], PERSONAS["inspector"].system["zh"]]
        assert join().wait_for(DialogueState, PATIENCE_S) == state


def test_how_full_the_context_is_stands_in_the_state_after_a_spoken_question(
    runtime: Path, join: Join, tmp_path: Path
) -> None:
    with talking(runtime, join, tmp_path) as talk:
        (tmp_path / "script.json").write_text(json.dumps(["It is", " red."]))
        microphone = join("microphone")
        until_wanted(microphone, Heard)
        microphone.publish(Heard(turn=Turn(LIVE, 1), stream="s", text="what is it", last_sample_at=1))
        state = talk.client.wait_for(DialogueState, PATIENCE_S, lambda state: state.used > 0)
        assert state is not None
        assert state.used == 12
        talk.client.send(Clear())
        assert talk.client.wait_for(DialogueState, PATIENCE_S, lambda state: state.used == 0) is not None


def test_what_a_program_wants_said_is_a_turn_without_the_model(runtime: Path, join: Join, tmp_path: Path) -> None:
    with talking(runtime, join, tmp_path) as talk:
        talk.client.listen(TurnStarted, ReplySentence)
        turn = Turn(LIVE, time.monotonic_ns())
        talk.client.send(Say(turn=turn, text="Dinner is ready. Come!", language="de"))
        told: list[Message] = []
        while not told or not isinstance(told[-1], ReplyEnded):
            received = talk.client.receive(PATIENCE_S)
            assert received is not None
            if not isinstance(received.message, Heartbeat):
                told.append(received.message)
        started, *sentences, ended_ = told
        assert isinstance(started, TurnStarted)
        assert (started.turn, started.text, started.spoken) == (turn, "", False)
        assert [(one.text, one.language) for one in sentences if isinstance(one, ReplySentence)] == [
            ("Dinner is ready.", "de"),
            ("Come!", "de"),
        ]
        assert isinstance(ended_, ReplyEnded)
        assert (ended_.reason, ended_.sentences, ended_.usage.completion_tokens) == ("command", 2, 0)


def test_a_question_that_waits_is_dropped_with_whoever_asked_it(runtime: Path, join: Join, tmp_path: Path) -> None:
    with talking(runtime, join, tmp_path) as talk:
        (tmp_path / "script.json").write_text(json.dumps(["{wait}", "Red."]))
        turns = [Turn(name, time.monotonic_ns()) for name in ("one", "left", "two")]
        for turn in turns:
            talk.client.send(Ask(turn=turn, text="what is it"))
        talk.client.send(Interrupt(conversation="left", before=turns[1].start + 1), to=("dialogue",))
        (tmp_path / "script.go").touch()
        ends = [talk.client.wait_for(ReplyEnded, PATIENCE_S) for _ in range(2)]
        assert [ended and ended.turn for ended in ends] == [turns[0], turns[2]]
