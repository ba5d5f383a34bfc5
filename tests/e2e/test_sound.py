"""The daemon on sound devices: heard and answered through a sound server, whatever becomes of that."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from assistant.client import Client, private
from assistant.messages import (
    LIVE,
    Ask,
    AudioOut,
    Heard,
    Heartbeat,
    Interrupt,
    Message,
    MicrophoneState,
    Mute,
    PushToTalk,
    SpeakerIdle,
    Speaking,
    SpeechDropped,
    Spoken,
    Turn,
)
from assistant.wire import Received
from pipelines.audio import wav
from tests.soundserver import SoundServer

ROOT = Path(__file__).resolve().parents[2]
SPEECH = ROOT / "config" / "demo" / "speech"
PATIENCE_S = 60.0
DEVICES = ("microphone.source=device", "speaker.output=device", "supervisor.restarts=100")
DESK = ("microphone.device=desk_micro", "speaker.device=desk_speaker")
LONG = "what do you see"  # of all that pico says the longest
M = TypeVar("M", bound=Message)


class Daemon:
    """A private daemon on sound devices, and all that it has said."""

    def __init__(self, client: Client) -> None:
        self.client, self._said = client, list[Received]()
        client.bus.listen(Heartbeat, MicrophoneState, Heard, SpeechDropped, Speaking, Spoken, SpeakerIdle, AudioOut)

    def mark(self) -> int:
        """What comes from now on is asked for from here on."""
        while (received := self.client.bus.receive(0.0)) is not None:
            self._said.append(received)
        return len(self._said)

    def after(self, mark: int, kind: type[M], holds: Callable[[M], bool] = lambda _: True, sender: str = "") -> M:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for received in self._said[mark:]:
                found = received.message
                if isinstance(found, kind) and sender in ("", received.stamp.sender) and holds(found):
                    return found
            mark = len(self._said)
            received_now = self.client.bus.receive(max(0.0, deadline - time.monotonic()))
            assert time.monotonic() < deadline, f"no such {kind.__name__}"
            if received_now is not None:
                self._said.append(received_now)

    def received(self, mark: int, kind: type[Message]) -> list[Received]:
        return [received for received in self._said[mark:] if isinstance(received.message, kind)]

    def all(self, mark: int, kind: type[M]) -> list[M]:
        return [r.message for r in self._said[mark:] if isinstance(r.message, kind)]

    def ask(self, text: str) -> Turn:
        turn = Turn(LIVE, time.monotonic_ns())
        self.client.bus.send(Ask(turn=turn, text=text))
        return turn

    def await_sound(self) -> None:
        """Both devices work."""
        mark = self.mark()
        self.client.bus.send(Mute(device="microphone", muted=False))  # it tells its state
        self.after(mark, MicrophoneState, lambda state: state.state == "live")
        self.after(mark, Heartbeat, lambda beat: beat.state == "ready", "speaker")


@contextmanager
def daemon(*sets: str) -> Iterator[Daemon]:
    with private("demo", [*DEVICES, *sets]) as runtime:
        client = Client(runtime)
        try:
            client.await_ready()
            yield Daemon(client)
        finally:
            client.close()


def speech(name: str) -> wav.Sound:
    return wav.read(SPEECH / f"{name}.wav")


def loud_ms(pcm: np.ndarray, rate: int) -> float:
    """From the first to the last sound, ms."""
    loud = np.flatnonzero(np.abs(pcm.astype(int)) > 300)
    return float(loud[-1] - loud[0]) * 1000 / rate if len(loud) else 0.0


def say(server: SoundServer, name: str) -> None:
    sound = speech(name)
    feeder = server.feed(sound.rate, sound.pcm.astype(np.int16))
    assert feeder.wait(PATIENCE_S) == 0


def open_microphones(server: SoundServer) -> int:
    asked = ["pactl", "list", "short", "source-outputs"]
    told = subprocess.run(asked, env=server.environment, capture_output=True, text=True, check=True).stdout
    return sum("protocol-native" in line for line in told.splitlines())


def test_a_question_is_heard_and_answered_through_the_devices(sound_server: SoundServer) -> None:
    with daemon(*DESK) as house:
        house.await_sound()
        _hears_and_answers(sound_server, house)
        _is_interrupted_at_once(sound_server, house)
        _closes_the_microphone_when_muted(sound_server, house)


def _hears_and_answers(server: SoundServer, house: Daemon) -> None:
    mark = house.mark()
    with server.recording() as recorder:
        say(server, "what-color-is-the-ball")
        heard = house.after(mark, Heard)
        assert heard.text == "what color is the ball"
        assert heard.stream == "microphone"
        spoken = house.after(mark, Spoken)
        assert spoken.complete
        assert "ball" in spoken.text
        house.after(mark, SpeakerIdle, lambda idle: idle.turn == heard.turn)
        blocks = house.all(mark, AudioOut)
        pcm = recorder.read_until(lambda pcm: bool(pcm.any()) and not pcm[-24_000:].any())
    began = house.after(mark, Speaking).first_sample_at
    assert blocks[0].first_sample_at == began
    assert began > heard.last_sample_at
    sounded = recorder.began + int(np.flatnonzero(pcm)[0]) * 1_000_000_000 // recorder.rate
    assert abs(sounded - began) < 150_000_000
    assert loud_ms(pcm, recorder.rate) > 300


def _is_interrupted_at_once(server: SoundServer, house: Daemon) -> None:
    mark = house.mark()
    with server.recording() as recorder:
        turn = house.ask(LONG)
        began = house.after(mark, Speaking, lambda speaking: speaking.turn == turn)
        deadline = began.first_sample_at + 300_000_000
        while (left := deadline - time.monotonic_ns()) > 0:
            house.client.bus.receive(left / 1e9)
        house.client.bus.send(Interrupt(before=(cut := time.monotonic_ns())))
        cut_short = house.after(mark, Spoken, lambda spoken: spoken.turn == turn and not spoken.complete)
        house.after(mark, SpeakerIdle, lambda idle: idle.turn == turn)
        pcm = recorder.read_until(lambda pcm: bool(pcm.any()) and not pcm[-24_000:].any())
    assert len(cut_short.text) < 20
    # 60 ms of what is sounding are on their way in the server and cannot be measured from out here
    assert loud_ms(pcm, recorder.rate) < (cut - began.first_sample_at) / 1e6 + 100


def _closes_the_microphone_when_muted(server: SoundServer, house: Daemon) -> None:
    assert open_microphones(server) == 1
    mark = house.mark()
    house.client.bus.send(Mute(device="microphone", muted=True))
    house.after(mark, MicrophoneState, lambda state: state.state == "muted")
    assert open_microphones(server) == 0
    mark = house.mark()
    house.client.bus.send(PushToTalk(pressed=True, at=time.monotonic_ns()))
    assert house.after(mark, SpeechDropped).why == "muted"
    mark = house.mark()
    house.client.bus.send(Mute(device="microphone", muted=False))
    house.after(mark, MicrophoneState, lambda state: state.state == "live")
    assert open_microphones(server) == 1


def test_a_sound_server_that_dies_is_said_and_used_again(sound_server: SoundServer) -> None:
    with daemon(*DESK) as house:
        house.await_sound()
        mark = house.mark()
        turn = house.ask(LONG)
        house.after(mark, Speaking, lambda speaking: speaking.turn == turn)
        mark = house.mark()
        sound_server.stop()
        lost = house.after(mark, MicrophoneState, lambda state: state.state == "lost")
        assert "the microphone is lost" in lost.detail or "nothing can be heard" in lost.detail
        for service in ("microphone", "speaker"):
            beat = house.after(mark, Heartbeat, lambda beat: beat.state == "degraded", service)
            assert "start the sound server" in beat.detail or "lost" in beat.detail
        assert not house.after(mark, Spoken, lambda spoken: spoken.turn == turn).complete
        house.after(mark, SpeakerIdle, lambda idle: idle.turn == turn)  # the turn ends, and the next one too
        mark, turn = house.mark(), house.ask("what color is the ball")
        unheard = house.after(mark, Spoken, lambda spoken: spoken.turn == turn)
        assert (unheard.text, unheard.complete) == ("", False)
        house.after(mark, SpeakerIdle, lambda idle: idle.turn == turn)
        house.client.bus.send(PushToTalk(pressed=True, at=time.monotonic_ns()))
        assert "nothing can be heard" in house.after(mark, SpeechDropped).why

        sound_server.start()
        house.after(mark, MicrophoneState, lambda state: state.state == "live")
        house.after(mark, Heartbeat, lambda beat: beat.state == "ready", "speaker")
        mark = house.mark()
        say(sound_server, "what-color-is-the-ball")
        assert house.after(mark, Heard).text == "what color is the ball"
        assert house.after(mark, Spoken).complete


def test_a_reply_goes_on_where_another_speaker_takes_over(sound_server: SoundServer) -> None:
    with daemon(*DESK, "speaker.fallback_device=kitchen") as house:
        house.await_sound()
        mark = house.mark()
        with sound_server.recording("spk") as desk, sound_server.recording("spare") as kitchen:
            turn = house.ask(LONG)
            house.after(mark, Speaking, lambda speaking: speaking.turn == turn)
            desk.read_until(lambda pcm: bool(pcm.any()))
            sound_server.unplug_the_desk_speaker()
            try:
                kitchen.read_until(lambda pcm: bool(pcm.any()))
                house.after(mark, SpeakerIdle, lambda idle: idle.turn == turn)
            finally:
                sound_server.plug_the_desk_speaker()
            assert all(spoken.complete for spoken in house.all(mark, Spoken))
            beat = house.after(mark, Heartbeat, lambda beat: "kitchen" in beat.detail, "speaker")
            assert (beat.state, "desk_speaker" in beat.detail) == ("degraded", True)
            pcm = kitchen.read_until(lambda pcm: bool(pcm.any()) and not pcm[-24_000:].any())
            whole = sum(len(block.payload) / 2 for block in house.received(mark, AudioOut)) / 22_050
            assert 0.5 * whole < np.count_nonzero(pcm) / 48_000
        mark = house.mark()
        house.after(mark, Heartbeat, lambda beat: beat.state == "ready", "speaker")  # the wanted one is back


def test_wrong_names_and_no_server_at_the_start_are_said_and_another_speaker_stands_in(
    sound_server: SoundServer,
) -> None:
    sound_server.stop()
    with daemon("microphone.device=bedroom", "speaker.device=bedroom", "speaker.fallback_device=kitchen") as house:
        mark = house.mark()
        house.after(mark, Heartbeat, lambda beat: "start the sound server" in beat.detail, "speaker")
        house.after(mark, Heartbeat, lambda beat: "start the sound server" in beat.detail, "microphone")
        sound_server.start()
        said = house.after(mark, Heartbeat, lambda beat: "bedroom" in beat.detail, "microphone")
        assert "no microphone is called 'bedroom'" in said.detail
        assert "'desk_microphone, ALSA'" in said.detail
        said = house.after(mark, Heartbeat, lambda beat: "playing on kitchen_speaker" in beat.detail, "speaker")
        assert said.state == "degraded"
        with sound_server.recording("spare") as recorder:
            mark, turn = house.mark(), house.ask("what color is the ball")
            assert house.after(mark, Spoken, lambda spoken: spoken.turn == turn).complete
            pcm = recorder.read_until(lambda pcm: bool(pcm.any()) and not pcm[-24_000:].any())
        assert loud_ms(pcm, recorder.rate) > 300


def test_a_stream_on_the_bus_works_beside_lost_devices(sound_server: SoundServer, tmp_path: Path) -> None:
    sound_server.stop()
    scenario = tmp_path / "s.toml"
    scenario.write_text(
        'settings = { "microphone.source" = "device", "speaker.output" = "device" }\n'
        f'[[steps]]\ncamera = "{ROOT}/config/demo/table-1.png"\nhear = "{SPEECH}/what-color-is-the-ball.wav"\n'
        'expect_heard = "^what color is the ball$"\nexpect = "ball"\n'
    )
    asked = [sys.executable, "-m", "assistant", "replay", str(scenario), "--json"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["spoken"] == ""
