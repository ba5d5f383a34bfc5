"""/ws with the daemon of the demo: what is told, what is obeyed, and who is shown out."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from assistant.client import Client, private
from assistant.messages import LIVE, Ask, Heartbeat, Turn
from pipelines.audio import wav
from pipelines.audio.resample import convert
from tests.processes import PATIENCE_S, ROOT

Said = dict[str, Any]


class House(NamedTuple):
    """A daemon with its gateway."""

    url: str
    client: Client

    @contextmanager
    def listening(self, conversation: str = "") -> Iterator["Ear"]:
        at = f"ws{self.url.removeprefix('http')}/ws?conversation={conversation}"
        with connect(at, max_size=None, close_timeout=1) as socket:
            yield Ear(socket)

    def ask_aloud(self, text: str) -> Turn:
        turn = Turn(LIVE, time.monotonic_ns())
        self.client.bus.send(Ask(turn=turn, text=text))
        return turn


class Ear:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[Said] = []
        self.snapshot = self.next()

    def next(self) -> Said:
        got = self.socket.recv(timeout=PATIENCE_S)
        if isinstance(got, bytes):
            return {"event": "", "data": got}
        told: Said = json.loads(got)
        self.heard.append(told)
        return told

    def until(self, name: str, holds: Callable[[Any], bool] = lambda data: True) -> Any:
        """The data of the next event of this name for which it holds."""
        while True:
            told = self.next()
            if told["event"] == name and holds(told["data"]):
                return told["data"]

    def tell(self, command: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"command": command, **fields}))

    @property
    def names(self) -> list[str]:
        return [told["event"] for told in self.heard]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with private("demo", ["log.level=warning", "dialogue.retention='off'"], gateway=True) as runtime:
        client = Client(runtime)
        client.await_ready()
        told = client.bus.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.detail.startswith("http"))
        assert told is not None
        yield House(told.detail, client)
        client.close()


def test_first_comes_a_snapshot(house: House) -> None:
    with house.listening() as ear:
        assert ear.snapshot["event"] == "snapshot"
        told = ear.snapshot["data"]
        assert {"services", "microphone", "camera", "speaker", "dialogue", "phase", "turn", "turns"} <= set(told)
        assert told["conversation"].startswith("web-")
        assert (told["muted"], told["volume"]) == (False, 1.0)
        assert told["dialogue"]["model"] == "pico"


def test_a_spoken_turn_is_told_as_lights_and_displays_expect_it(house: House) -> None:
    with house.listening() as ear:
        turn = house.ask_aloud("what do you see")
        record = ear.until("turn_record", lambda data: data["turn"]["start"] == str(turn.start))
        wanted = ["turn_started", "thinking", "picture", "token", "reply", "tts_text", "tts_speaking", "spoken"]
        wanted += ["tts_finished", "idle", "turn_record"]
        assert [name for name in dict.fromkeys(ear.names) if name in wanted] != []
        assert set(wanted) <= set(ear.names)
        told = {each["event"]: each["data"] for each in ear.heard}
        assert told["turn_started"] == {"turn": told["token"]["turn"], "text": "what do you see"} | {
            "spoken": False,
            "mine": False,
        }
        tokens = "".join(each["data"]["text"] for each in ear.heard if each["event"] == "token")
        assert tokens == told["reply"]["text"] == told["tts_text"]["text"] == record["answer"]
        assert told["tts_speaking"]["text"]
        assert told["picture"]["age_ms"] >= 0
        assert record["stages"]
        assert record["timings_ms"]["first_audio"] > 0
        at = [each["at"] for each in ear.heard if each["event"] in ("turn_started", "token", "reply")]  # of one sender
        assert at == sorted(at)


def test_who_comes_later_sees_what_was_said(house: House) -> None:
    turn = house.ask_aloud("what color is the ball")
    with house.listening() as ear:
        if not any(one["turn"]["start"] == str(turn.start) for one in ear.snapshot["data"]["turns"]):
            ear.until("turn_record", lambda data: data["turn"]["start"] == str(turn.start))
    with house.listening() as ear:
        assert ear.snapshot["data"]["turns"][-1]["heard"] == "what color is the ball"
        assert ear.snapshot["data"]["last_stt_text"] == "what color is the ball"


def test_what_is_asked_here_is_told_here_alone(house: House) -> None:
    with house.listening() as one, house.listening() as other:
        one.tell("ask", text="what color is the ball")
        started = one.until("turn_started")
        assert started["mine"]
        assert started["turn"]["conversation"] == one.snapshot["data"]["conversation"]
        reply = one.until("reply", lambda data: data["turn"] == started["turn"])
        assert reply["text"] == "The ball is red."
        one.tell("ask", text="and the cube")  # the conversation goes on
        assert "blue" in one.until("reply")["text"]
        other.tell("nonsense")
        other.until("error")
        assert not {"token", "reply", "turn_started"} & set(other.names)


def test_a_page_that_comes_back_goes_on_with_its_conversation(house: House) -> None:
    with house.listening("web-abcdef123456") as ear:
        assert ear.snapshot["data"]["conversation"] == "web-abcdef123456"
    for no_name in ("live", "api-x", "web-", "web-a/b/c/d/e/f/g/h"):
        with house.listening(no_name) as ear:
            assert ear.snapshot["data"]["conversation"] != no_name


def test_devices_are_closed_and_opened_and_everyone_is_told(house: House) -> None:
    with house.listening() as one, house.listening() as other:
        one.tell("mute", device="microphone", muted=True)
        for ear in (one, other):
            assert ear.until("muted") == {"device": "microphone", "muted": True}
        one.tell("start_listening")
        assert one.until("error")["code"] == "microphone_muted"
        one.tell("unmute_mic")  # as linux-voice-assistant's peripherals say it
        assert other.until("muted") == {"device": "microphone", "muted": False}
        one.tell("mute", device="camera", muted=True)
        assert other.until("camera")["state"] == "muted"
        one.tell("mute", device="camera", muted=False)
        assert other.until("camera", lambda data: data["state"] == "live")
        one.tell("set_volume", data={"volume": 0.5})
        assert other.until("volume_changed") == {"volume": 0.5}
        one.tell("volume", step=1)
        assert other.until("volume")["volume"] > 0.5


def test_preferences_are_confirmed_by_what_dialogue_says(house: House) -> None:
    with house.listening() as ear:
        ear.tell("prefer", persona="inspector")
        assert ear.until("dialogue")["persona"] == "inspector"
        ear.tell("prefer", persona="plain", picture="fresh")
        assert ear.until("dialogue")["persona"] == "plain"


def test_clear_and_stop_are_heeded(house: House) -> None:
    with house.listening() as ear:
        house.ask_aloud("what do you see")
        ear.until("tts_speaking")
        ear.tell("stop")
        assert not ear.until("spoken", lambda data: not data["complete"])["complete"]
        ear.until("idle")
        ear.tell("clear")
        assert {ear.until("cleared")["conversation"], ear.until("cleared")["conversation"]} == {
            "live",
            ear.snapshot["data"]["conversation"],
        }


def said_through_a_browser(ear: Ear, name: str, rate: int) -> None:
    """As the console does it: blocks of the browser's rate."""
    sound = wav.read(ROOT / "config" / "demo" / "speech" / f"{name}.wav")
    pcm = convert(sound.pcm, sound.rate, rate).tobytes()
    ear.tell("talk_begin", rate=rate)
    for at in range(0, len(pcm), 4096):
        ear.socket.send(pcm[at : at + 4096])


@pytest.mark.parametrize("rate", [48_000, 16_000])
def test_a_question_through_a_browser_is_answered_aloud_to_it_alone(house: House, rate: int) -> None:
    with house.listening() as ear, house.listening() as other:
        said_through_a_browser(ear, "what-color-is-the-ball", rate)
        ear.tell("talk_end")
        assert ear.until("stt_text")["text"] == "what color is the ball"
        assert ear.until("turn_started")["mine"]
        assert ear.until("tts_speaking")["text"] == "The ball is red."
        blocks: list[Said] = []
        sound = b""
        while not blocks or not blocks[-1]["last"]:
            blocks.append(ear.until("audio"))
            got = ear.next()
            assert got["event"] == ""  # binary: the one that belongs to it
            sound += got["data"]
        assert [block["index"] for block in blocks] == list(range(len(blocks)))
        assert blocks[0]["rate"] >= 8000
        assert np.abs(np.frombuffer(sound, np.int16)).max() > 1000
        record = next((told["data"] for told in ear.heard if told["event"] == "turn_record"), None)
        record = record or ear.until("turn_record")
        assert record["asked_at"] > int(record["turn"]["start"])  # when the button was let go, not when it was pressed
        other.tell("dance")
        other.until("error")
        assert not {"audio", "stt_text", "token"} & set(other.names)


def test_what_is_taken_back_or_stopped_is_not_answered(house: House) -> None:
    with house.listening() as ear:
        said_through_a_browser(ear, "what-color-is-the-ball", 16_000)
        ear.tell("talk_cancel")
        ear.tell("talk_end")
        assert ear.until("error")["code"] == "no_talk"
        said_through_a_browser(ear, "what-do-you-see", 16_000)
        ear.tell("talk_end")
        ear.until("audio")
        ear.tell("stop")
        ear.tell("dance")
        ear.until("error", lambda data: data["command"] == "dance")
        before = len(ear.heard)
        ear.tell("ask", text="hello")
        ear.until("reply")
        assert "audio" not in [told["event"] for told in ear.heard[before:]]


def test_noise_and_sound_without_a_beginning_open_no_turn(house: House) -> None:
    with house.listening() as ear:
        ear.socket.send(b"\0\0" * 100)
        assert ear.until("error")["code"] == "no_talk"
        for rate in (0, -1, 1_000_000, "fast"):
            ear.tell("talk_begin", rate=rate)
            assert ear.until("error")["code"] == "invalid_field"
        ear.tell("talk_begin", rate=16_000)
        ear.socket.send(bytes(32_001))  # half a sample too many
        ear.tell("talk_end")
        assert ear.until("dropped")["why"] == "no words were understood"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("{", "invalid_json"),
        ("[" * 100_000, "invalid_json"),
        ("7", "no_command"),
        ('{"command": 7}', "no_command"),
        ('{"command": "dance"}', "unknown_command"),
        ('{"command": "mute", "data": 7}', "invalid_field"),
        ('{"command": "mute", "device": "door", "muted": true}', "invalid_field"),
        ('{"command": "mute", "device": "camera", "muted": true, "more": 1}', "invalid_field"),
        ('{"command": "volume"}', "invalid_field"),
        ('{"command": "ask", "text": ""}', "invalid_field"),
        ('{"command": "ask", "text": "x", "camera": "door"}', "unknown_camera"),
        ('{"command": "prefer"}', "invalid_field"),
    ],
)
def test_what_is_not_understood_is_said_and_the_socket_stays(house: House, sent: str, code: str) -> None:
    with house.listening() as ear:
        ear.socket.send(sent)
        told = ear.until("error")
        assert (told["code"], bool(told["message"])) == (code, True)
        ear.tell("dance")
        assert ear.until("error")["command"] == "dance"


def shown_out(ear: Ear, messages: list[str]) -> int | None:
    """Send them; the code with which the socket is closed."""
    with contextlib.suppress(ConnectionClosed):
        for message in messages:
            ear.socket.send(message)
        while True:
            ear.next()
    return ear.socket.close_code


def test_a_flood_is_shown_out(house: House) -> None:
    with house.listening() as ear:
        assert shown_out(ear, ['{"command": "dance"}'] * 20_000) == 1008
    assert house.client.pid("gateway") is not None


def test_a_message_that_is_too_large_is_shown_out(house: House) -> None:
    with house.listening() as ear:
        assert shown_out(ear, ["x" * 2_000_000]) == 1009
