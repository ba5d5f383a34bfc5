"""Speaker: say the reply sentence by sentence, fall silent at once, report what was really heard."""

import logging
from collections import deque
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np

from assistant import config, messages
from assistant.config import Engine
from assistant.core import loudness
from assistant.core.levels import Meter
from assistant.core.playout import Block, Playout, Said, age
from assistant.journal import of
from assistant.messages import (
    AudioOut,
    Duck,
    Interrupt,
    Mute,
    ReplyEnded,
    ReplySentence,
    SpeakerIdle,
    SpeakerState,
    Speaking,
    SpeechStarted,
    Spoken,
    Synthesize,
    Synthesized,
    Turn,
    TurnStarted,
    Volume,
)
from assistant.service import Service, Unfit
from assistant.soundout import BusOutput, Level, Output, amplified, keep
from assistant.synthesis import Piece, Synthesis
from assistant.wire import Received
from pipelines import tts
from pipelines.audio.keeper import Closed, Keeper, Lost, Opened
from pipelines.audio.playback import Playback
from pipelines.engine import EngineError, name_of

log = logging.getLogger(__name__)

NONE = (0, 0)  # older than any turn
IDLE_S = 0.25
OPEN_S = 3.0  # how long the start waits for the device; what is slower is told as lost until it is there
DUCKED_NS = 3_000_000_000  # without another word from the microphone the reply comes back up after this
HOPE_NS = 3_000_000_000  # how long a reply waits for a lost device to be replaced


class Settings(config.Settings, frozen=True, kw_only=True):
    """Section [speaker]."""

    roles: ClassVar[Mapping[str, str]] = {"tts": "tts"}

    tts: Engine = Engine("espeak")
    output: Literal["bus", "device"] = "bus"  # bus: AudioOut messages at the pace of the ear; device: a sound card
    device: str = ""  # a part of its name (assistant devices lists them); "": the default one
    fallback_device: str = ""  # plays while that one is lost; "": none
    block_ms: int = 20  # an interruption is obeyed within one block
    duck_db: Annotated[float, msgspec.Meta(le=0)] = -15.0  # while someone may be speaking over the reply


def run(service: Service, settings: Settings) -> None:
    service.listen(SpeechStarted, TurnStarted, ReplySentence, ReplyEnded, Interrupt, Duck, Mute, Volume)
    service.busy("loading the voice", 60.0)
    try:
        voice = tts.load(settings.tts.engine, settings.tts.options)
    except EngineError as error:
        raise Unfit(str(error)) from error
    mouth = Mouth(service, settings, Synthesis(voice, service.wake))
    mouth.open()
    service.ready(name_of(voice))
    mouth.say_state()
    while service.running:
        received = service.receive(mouth.patience())
        if received is not None:
            mouth.obey(received)
        mouth.play()
    mouth.close()


class Mouth:
    def __init__(self, service: Service, settings: Settings, synthesis: Synthesis) -> None:
        self._service, self._settings, self._synthesis = service, settings, synthesis
        self._playout = Playout()
        self._samples = synthesis.rate * settings.block_ms // 1000
        self._output: Output | None = None
        self._keeper: Keeper[Playback] | None = None
        self._hope_until = 0  # until then what is to be said waits for a device, ns
        self._position = self._left = 0  # samples put into the output, and those of them that have left
        self._played = 0  # samples, in all
        self._under_way: deque[tuple[int, Block]] = deque()  # (position, block) that are not known to leave yet
        self._meter: tuple[int, Meter] | None = None  # (Hz, it) of what sounds
        self._ducked_until = 0  # ns; 0: it is not
        self._said: tuple[Turn, int] | None = None  # the last sentence whose beginning was told
        self._level = Level(service)
        self._engine_ms: dict[tuple[Turn, int], float] = {}
        self._newest: dict[str, tuple[int, int]] = {}  # conversation -> age of its newest turn

    def open(self) -> None:
        if self._settings.output == "bus":
            self._output = BusOutput(self._synthesis.rate, self._samples, self._service.clock)
            return
        wanted = self._settings.device, self._settings.fallback_device
        self._keeper = keep(*wanted, self._synthesis.rate, self._service.wake, lambda: self._playout.empty)
        self._service.busy("opening the speaker", OPEN_S)
        self._keeper.await_first(OPEN_S)

    def close(self) -> None:
        if self._keeper is not None and not self._keeper.close():
            log.warning("the speaker does not close: the sound server is stuck")
        self._synthesis.close()

    def patience(self) -> float:
        """Seconds until there may be something to do."""
        if isinstance(self._output, BusOutput) and not self._playout.empty:
            return min(IDLE_S, self._output.wait_s() or self._settings.block_ms / 1000)
        return IDLE_S if self._playout.empty else self._settings.block_ms / 1000

    def obey(self, received: Received) -> None:
        match received.message:
            case TurnStarted(turn=turn):
                self._silence(turn.conversation, turn.start, turn.revision)
            case SpeechStarted(turn=turn) if turn.revision:  # the question goes on: there is no answer to it yet
                if turn.start == self._newest.get(turn.conversation, NONE)[0]:
                    self._silence(turn.conversation, turn.start, turn.revision)
            case ReplySentence() as sentence if self._wanted(sentence.turn):
                self._playout.add(sentence.turn, sentence.index, sentence.text)
                self._synthesis.begin(sentence)
            case ReplyEnded(turn=turn, sentences=count) if self._wanted(turn):
                self._playout.ended(turn, count)
            case Interrupt(conversation=conversation, before=before):
                self._silence(conversation, before)
            case Duck(on=on):
                self._duck(on)
            case Synthesize() as wanted:
                self._synthesis.begin(wanted)
            case Mute(device="speaker", muted=muted):
                self._level.muted = muted
                self._sound_anew()
            case Volume(level=level, step=step):
                was = self._level.volume
                self._level.volume = loudness.stepped(was, step) if level is None else loudness.limited(level)
                self._level.muted = False
                self._sound_anew()

    @property
    def _gain(self) -> float:
        """Of the volume; what the samples are multiplied with."""
        return 0.0 if self._level.muted else loudness.gain(self._level.volume)

    def _sound_anew(self) -> None:
        """What has not sounded yet does so as loud as it is now."""
        self._take_back()
        self.say_state()

    def say_state(self) -> None:
        if self._service.health.state == "ready":
            self._service.be("ready", "muted") if self._level.muted else self._service.well()
        self._service.publish(SpeakerState(volume=self._level.volume, muted=self._level.muted))

    def play(self) -> None:
        self._notice()
        self._service.figures["open"] = float(self._output is not None)
        for piece in self._synthesis.collect():
            self._take(piece)
        if self._output is not None:
            self._listen()
            if self._ducked_until and (self._playout.empty or self._service.clock() >= self._ducked_until):
                self._duck(False)
            self._fill(self._output)
            self._announce(self._output)
            self._tell_levels(self._output)
        elif self._service.clock() >= self._hope_until:
            self._report(self._playout.give_up())
        self._report(self._playout.over())
        for turn in self._playout.silent():
            self._service.publish(SpeakerIdle(turn=turn))

    # --- samples ---

    def _take(self, piece: Piece) -> None:
        if isinstance(piece.job, Synthesize):
            self._give(piece.job, piece)
            return
        key = (piece.job.turn, piece.job.index)
        if piece.chunk is None:
            if piece.error:
                log.error("a sentence could not be spoken: %s", piece.error, extra=of(key[0]))
                self._service.be("degraded", piece.error)
            self._playout.complete(*key)
            return
        self._engine_ms.setdefault(key, piece.engine_ms)
        self._playout.feed(*key, piece.chunk.pcm, [(word.char, word.sample) for word in piece.chunk.words])

    def _give(self, job: Synthesize, piece: Piece) -> None:
        """Sound for a program, which does not sound here."""
        index, chunk = piece.number, piece.chunk
        told = Synthesized(
            stream=job.stream, index=index, rate=self._synthesis.rate, last=chunk is None, error=piece.error
        )
        self._service.publish(told, None if chunk is None else np.ascontiguousarray(chunk.pcm))

    def _fill(self, output: Output) -> None:
        while output.room >= self._samples:
            block = self._playout.take(self._samples)
            if block is None:
                output.drain()
                return
            pcm = output.put(amplified(block.pcm, self._gain))
            self._under_way.append((self._position, msgspec.structs.replace(block, pcm=pcm)))
            self._position += len(block.pcm)

    def _announce(self, output: Output) -> None:
        """Tell of the blocks whose time has become known."""
        while self._under_way and (at := output.leaves_at(self._under_way[0][0])) is not None:
            _, block = self._under_way.popleft()
            key = (block.turn, block.index)
            if key != self._said:
                self._said, engine_ms = key, self._engine_ms.pop(key, 0.0)
                self._service.publish(Speaking(turn=key[0], index=key[1], first_sample_at=at, engine_ms=engine_ms))
            if self._keeper is None or self._service.bus.wanted(AudioOut):
                out = AudioOut(turn=key[0], index=key[1], rate=self._synthesis.rate, first_sample_at=at)
                self._service.publish(out, block.pcm)

    def _tell_levels(self, output: Output) -> None:
        """The envelope of what sounds, while somebody listens for its echo."""
        for at, rate, pcm in output.sounding():
            if not self._service.bus.wanted(messages.Playback):
                continue
            if self._meter is None or self._meter[0] != rate:
                self._meter = rate, Meter(rate)
            first, levels = self._meter[1].feed(at, pcm)
            if len(levels):
                rows = tuple(tuple(round(level, 1) for level in row) for row in levels.tolist())
                self._service.publish(messages.Playback(first_sample_at=first, levels=rows))

    def _duck(self, on: bool) -> None:
        self._ducked_until = self._service.clock() + DUCKED_NS if on and not self._playout.empty else 0
        if self._output is not None:
            self._output.fade(10 ** (self._settings.duck_db / 20) if self._ducked_until else 1.0)

    def _listen(self) -> None:
        """What has left for the ear since the last time."""
        if self._output is not None:
            left = self._output.left(self._service.clock())
            self._playout.sounded(left - self._left)
            self._played += left - self._left
            self._service.figures["played_s"] = self._played / self._synthesis.rate
            self._left = left
        if isinstance(self._output, Playback):
            self._service.figures["underruns"] = self._output.underruns

    def _wanted(self, turn: Turn) -> bool:
        return age(turn) >= self._newest.get(turn.conversation, NONE)

    def _silence(self, conversation: str, before: int, revision: int = 0) -> None:
        self._newest[conversation] = max((before, revision), self._newest.get(conversation, NONE))
        self._listen()
        said, turns = self._playout.drop(conversation, before, revision)
        if turns:
            self._take_back()
            self._duck(False)
        self._report(said)
        for turn in turns:
            self._synthesis.cancel(turn)
            self._service.publish(SpeakerIdle(turn=turn))

    def _take_back(self) -> None:
        """Nothing that is under way is heard; what is still wanted of it is played anew."""
        self._listen()
        if self._output is not None and self._left < self._position:
            self._output.stop()
            self._begin_anew()

    def _begin_anew(self) -> None:
        self._playout.rewind()
        self._under_way.clear()
        self._position = self._left = 0

    def _report(self, said: list[Said]) -> None:
        for sentence in said:
            self._service.publish(
                Spoken(turn=sentence.turn, index=sentence.index, text=sentence.text, complete=sentence.complete)
            )

    # --- the device ---

    def _notice(self) -> None:
        """What has become of the device."""
        for news in self._keeper.news() if self._keeper is not None else []:
            match news:
                case Opened(stream=stream, name=name, instead=instead):
                    log.info("playing on %s", name)
                    self._output = stream
                    self._begin_anew()
                    if instead:
                        self._service.be("degraded", f"{instead}; playing on {name}")
                    else:
                        self._service.well()
                case Closed(why=why):
                    self._listen()
                    self._output = None
                    self._begin_anew()
                    self._hope_until = self._service.clock() + HOPE_NS
                    if why:
                        self._service.be("degraded", f"the speaker is lost: {why}")
                case Lost(why=why):
                    self._hope_until = 0
                    self._service.be("degraded", f"replies cannot be heard: {why}")
