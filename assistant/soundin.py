"""The microphone as one more stream of AudioIn: opened, kept open, and what has become of it."""

import logging
from collections.abc import Callable, Iterator

from assistant.messages import AudioIn
from pipelines.audio.capture import Capture
from pipelines.audio.keeper import Closed, Keeper, Lost, Opened

log = logging.getLogger(__name__)

STREAM = "microphone"


class SoundIn:
    """``lost`` says why nothing can be heard, "" if something can; ``name`` is the device's."""

    def __init__(self, device: str, rate: int, wake: Callable[[], None]) -> None:
        """``device``: a part of its name; ``rate``: Hz, 0 its own; ``wake`` is called (from other threads) when there
        is something to fetch."""
        self.name, self.lost, self.overruns = "", "the microphone is being opened", 0
        self._capture: Capture | None = None
        self._keeper = Keeper("input", [device], lambda found, alarm: Capture(found, rate, wake, alarm), news_here=wake)

    def await_first(self, timeout_s: float) -> None:
        """Give the first attempt to open it that long."""
        self._keeper.await_first(timeout_s)

    def changed(self) -> bool:
        """Notice what has become of the device; True if anything has."""
        before = self.name, self.lost
        for what in self._keeper.news():
            match what:
                case Opened(stream=stream, name=name):
                    self._capture, self.name, self.lost = stream, name, ""
                    log.info("listening to %s at %d Hz", name, stream.rate)
                case Closed(why=why):
                    self._capture, self.lost = None, f"the microphone is lost: {why}"
                case Lost(why=why):
                    self.lost = f"nothing can be heard: {why}"
        return (self.name, self.lost) != before

    def fetch(self) -> Iterator[tuple[AudioIn, bytes]]:
        """What it has heard since the last time."""
        if (capture := self._capture) is None:
            return
        self.overruns = capture.overruns
        for at, pcm in capture.blocks():
            yield (
                AudioIn(stream=STREAM, first_sample_at=at, rate=capture.rate, channels=capture.channels),
                pcm.tobytes(),
            )

    def close(self) -> None:
        if not self._keeper.close():
            log.warning("the microphone does not close: the sound server is stuck")
