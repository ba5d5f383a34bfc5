"""The virtual microphone: every sample once, at its time, whatever else is going on."""

from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from assistant.bus import Bus
from assistant.messages import AudioIn
from assistant.soundstream import BLOCK_MS, SoundStream
from assistant.wire import BusError

MS = 1_000_000


class Listener:
    """Stands where the bus does and keeps what is sent; ``deaf`` while the microphone restarts."""

    def __init__(self) -> None:
        self.blocks: list[tuple[AudioIn, Any]] = []
        self.deaf = False

    def send(self, message: AudioIn, payload: Any, timeout_s: float) -> None:
        assert timeout_s == 0.0
        if self.deaf:
            raise BusError("nobody listens")
        self.blocks.append((message, np.array(payload)))


class Clock:
    def __init__(self) -> None:
        self.now = 5_000_000_000_000

    def __call__(self) -> int:
        return self.now


@given(st.lists(st.integers(0, 150), min_size=1, max_size=60), st.sampled_from([8000, 16000, 22050, 44100, 48000]))
def test_blocks_follow_each_other_without_gap_or_drift(naps_ms: list[int], rate: int) -> None:
    clock, ear = Clock(), Listener()
    stream = SoundStream(rate, clock)
    began = clock.now
    for nap in naps_ms:
        clock.now += nap * MS
        stream.pump(cast(Bus, ear))
        assert stream.wait_s() <= BLOCK_MS / 1000 + 1e-6
    samples = 0
    for message, pcm in ear.blocks:
        assert message.first_sample_at == began + samples * 1_000_000_000 // rate
        assert message.first_sample_at + len(pcm) * 1_000_000_000 // rate <= clock.now
        assert np.abs(pcm).max() <= 4
        samples += len(pcm)
    assert clock.now - began - samples * 1_000_000_000 // rate < 2 * BLOCK_MS * MS


@given(st.integers(1, 5000), st.integers(0, 60), st.lists(st.integers(1, 90), min_size=30, max_size=30))
def test_a_sound_is_heard_whole_at_the_time_that_was_told(length: int, before_ms: int, naps_ms: list[int]) -> None:
    clock, ear = Clock(), Listener()
    stream = SoundStream(16_000, clock)
    clock.now += before_ms * MS
    stream.pump(cast(Bus, ear))
    sound = np.full(length, 1000, np.int16)
    begins, ends = stream.play(sound)
    assert begins >= clock.now
    assert abs(ends - begins - length * 62_500) <= 1
    for nap in naps_ms:
        clock.now += nap * MS
        stream.pump(cast(Bus, ear))
    while clock.now < ends + BLOCK_MS * MS:
        clock.now += BLOCK_MS * MS
        stream.pump(cast(Bus, ear))
    heard = np.concatenate([pcm for _, pcm in ear.blocks])
    loud = np.flatnonzero(heard > 500)
    assert len(loud) == length
    assert loud[0] * 62_500 == begins - ear.blocks[0][0].first_sample_at
    assert loud[-1] - loud[0] == length - 1


def test_two_sounds_are_mixed_and_clipped() -> None:
    clock, ear = Clock(), Listener()
    stream = SoundStream(16_000, clock)
    for _ in range(2):
        stream.play(np.full(160, 30_000, np.int16))
    clock.now += 100 * MS
    stream.pump(cast(Bus, ear))
    heard = np.concatenate([pcm for _, pcm in ear.blocks])
    assert (heard == 32_767).sum() == 160


def test_time_goes_on_while_nobody_listens() -> None:
    clock, ear = Clock(), Listener()
    stream = SoundStream(16_000, clock)
    for deaf in (False, True, False):
        ear.deaf = deaf
        clock.now += 200 * MS
        stream.pump(cast(Bus, ear))
    at = [message.first_sample_at for message, _ in ear.blocks]
    assert len(at) == 20
    assert at[10] - at[9] == 220 * MS


def test_the_last_block_says_so() -> None:
    clock, ear = Clock(), Listener()
    stream = SoundStream(16_000, clock)
    clock.now += 45 * MS
    stream.pump(cast(Bus, ear))
    stream.end(cast(Bus, ear))
    assert [message.last for message, _ in ear.blocks] == [False, False, True]
