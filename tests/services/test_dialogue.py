"""The dialogue service, as a real process: how it keeps within what the board can bear, and what it says of itself."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant.bus import Bus
from assistant.messages import LIVE, Ask, Heard, Heartbeat, ReplyEnded, Turn
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
