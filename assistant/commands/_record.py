"""What a played scenario leaves behind: turns.jsonl, a WAV of each answer, timeline.png."""

from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.commands import USAGE, Failure
from assistant.commands._timeline import draw
from assistant.messages import LIVE, AudioOut
from assistant.outcome import Line
from assistant.wire import Received
from pipelines.audio import wav


class Recorder:
    """Watches the bus while a scenario is played."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        # start of the turn -> its blocks: when the first sample sounded, samples a second, samples
        self._audio: dict[int, list[tuple[int, int, NDArray[np.int16]]]] = defaultdict(list)

    def watch(self, received: Received) -> None:
        message = received.message
        if isinstance(message, AudioOut) and message.turn.conversation == LIVE:
            pcm = np.frombuffer(bytes(received.payload), np.int16)
            self._audio[message.turn.start].append((message.first_sample_at, message.rate, pcm))

    def keep(self, line: Line) -> None:
        self.lines.append(line)

    def write(self, folder: Path, pictures: dict[int, Path]) -> None:
        """Write all of it; ``pictures`` are the files shown by the step's number. Raises Failure."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for old in (*folder.glob("answer-*.wav"), folder / "timeline.png"):
                old.unlink(missing_ok=True)
            text = "".join(msgspec.json.encode(line).decode() + "\n" for line in self.lines)
            (folder / "turns.jsonl").write_text(text, "utf-8")
            for line in self.lines:
                if line.turn is not None and (blocks := self._audio.get(line.started_at)):
                    rate = blocks[0][1]
                    wav.write(folder / f"answer-{line.turn:02}.wav", rate, joined(blocks, rate))
            (folder / "timeline.png").write_bytes(draw(self.lines, pictures))
        except OSError as error:
            raise Failure(f"{folder} cannot be written to ({error.strerror}); choose another --out", USAGE) from error


def joined(blocks: list[tuple[int, int, NDArray[np.int16]]], rate: int) -> NDArray[np.int16]:
    """The blocks as they were heard: each at its time, silence where nothing sounded."""
    first = blocks[0][0]
    placed = [((at - first) * rate // 1_000_000_000, pcm) for at, _, pcm in blocks]
    whole = np.zeros(max(offset + len(pcm) for offset, pcm in placed), np.int16)
    for offset, pcm in placed:
        whole[offset : offset + len(pcm)] = pcm
    return whole
