"""The echo guard on made-up envelopes: what it learns of the way to the microphone, and what it lets through."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from assistant.core.echo import ROOMS, STEP_NS, EchoGuard, Settings, response
from assistant.core.levels import Levels

NOISE = -62.0  # dBFS in each band
delays, leaks, seeds = st.integers(0, 45), st.floats(-30, -10), st.integers(0, 10_000)
few = settings(max_examples=12, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # none is simpler


def syllables(steps: int, random: np.random.Generator) -> Levels:
    """Levels of speech, float64 [steps, 3], around -22 dBFS: four syllables a second, and pauses."""
    levels = np.full((steps, 3), -90.0)
    at = 0
    while at < steps:
        length = int(random.integers(8, 22))
        shape = -9 * np.square(np.linspace(-1, 1, length))[:, None]
        levels[at : at + length] = (random.uniform(-32, -14, 3) + shape + random.normal(0, 1.5, (length, 3)))[
            : steps - at
        ]
        at += length + int(random.integers(1, 8)) + 40 * bool(random.random() < 0.08)
    return levels


def microphone(
    played: Levels, delay: int, leak_db: float, random: np.random.Generator, room: int = 0, user: Levels | None = None
) -> Levels:
    """What is heard of it, in a little noise; an echo is coloured a little, and never quite alike."""
    answer = response(*ROOMS[room])
    power = np.stack([np.convolve(10 ** (band / 10), answer)[: len(band)] for band in played.T], axis=1)
    late = np.concatenate([np.zeros((delay, 3)), power])[: len(power)]
    heard = late * 10 ** ((leak_db + np.array([1.0, 0.0, -2.0]) + random.normal(0, 1.0, late.shape)) / 10)
    heard += 10 ** ((NOISE + random.normal(0, 1.5, late.shape)) / 10)
    return 10 * np.log10(heard + (0 if user is None else 10 ** (user / 10)))


def listen(guard: EchoGuard, played: Levels, heard: Levels, first: int = 1000, hold_from: int = 1 << 30) -> Levels:
    """Two steps at a time, as they come, and from ``hold_from`` on somebody may be speaking; how far each step, with
    those before it, is louder than is explained."""
    margins = []
    for at in range(0, len(played), 2):
        guard.played((first + at) * STEP_NS, played[at : at + 2])
        margins.append(guard.heard((first + at) * STEP_NS, heard[at : at + 2], hold=at >= hold_from)[:, 0])
    return np.concatenate(margins)


@few
@given(delays, leaks, seeds, st.sampled_from([0, 2, 4]))
def test_delay_and_leak_are_found_and_what_is_echo_is_explained(delay: int, leak: float, seed: int, room: int) -> None:
    random = np.random.default_rng(seed)
    played = syllables(700, random)
    guard = EchoGuard(Settings())
    margins = listen(guard, played, microphone(played, delay, leak, random, room))
    assert guard.estimate.known
    if leak > -24:  # a softer one is lost in the noise, and of no importance
        assert abs(guard.estimate.delay_ms - delay * 10) <= 20
        total = leak + 10 * np.log10(response(*ROOMS[room]).sum())
        assert abs(guard.estimate.leak_db - total) < 3.5
    assert np.mean(margins > 0) < 0.1  # what is wrong once is wrong for the 120 ms that are judged as one


def test_of_many_rooms_hardly_any_echo_is_taken_for_somebody() -> None:
    shares = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        played, delay, leak = syllables(700, random), int(random.integers(0, 46)), float(random.uniform(-30, -10))
        heard = microphone(played, delay, leak, random, room=(0, 2, 4)[seed % 3])
        shares.append(np.mean(listen(EchoGuard(Settings()), played, heard) > 0))
    assert np.mean(shares) < 0.01


@few
@given(delays, leaks, seeds)
def test_who_is_louder_than_the_echo_is_let_through(delay: int, leak: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    played, user = syllables(700, random), np.full((700, 3), -120.0)
    user[550:650] = syllables(100, random) + 4
    guard = EchoGuard(Settings())
    played[550:] -= 15.0  # the reply has been made soft
    margins = listen(guard, played, microphone(played, delay, leak, random, user=user), hold_from=560)
    speaks = user[550:650].max(axis=1) > -24
    assert np.mean(margins[550:650][speaks] > 0) > 0.7


@few
@given(delays, st.floats(-30, -1), seeds)
def test_before_anything_is_known_no_echo_is_taken_for_somebody(delay: int, leak: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    played = syllables(60, random)
    guard = EchoGuard(Settings())
    margins = listen(guard, played, microphone(played, delay, leak, random))
    assert not guard.estimate.known
    assert np.mean(margins > 0) < 0.02


def test_another_delay_and_another_leak_are_noticed() -> None:
    random = np.random.default_rng(5)
    guard, played = EchoGuard(Settings()), syllables(1600, random)
    listen(guard, played[:800], microphone(played[:800], 8, -20.0, random))
    assert guard.estimate.delay_ms in (70, 80, 90)
    listen(guard, played[800:], microphone(played[800:], 30, -13.0, random), first=1800)
    assert guard.estimate.delay_ms in (290, 300, 310)
    assert abs(guard.estimate.leak_db + 13.0) < 3


@pytest.mark.parametrize(("leak", "too_strong"), [(-3.0, True), (-14.0, False)])
def test_a_leak_that_drowns_the_user_is_said(leak: float, too_strong: bool) -> None:
    random = np.random.default_rng(6)
    guard, played = EchoGuard(Settings()), syllables(600, random)
    assert not guard.too_strong
    listen(guard, played, microphone(played, 10, leak, random))
    assert guard.too_strong is too_strong


def test_an_echo_rings_on_after_the_reply() -> None:
    random = np.random.default_rng(7)
    guard, played = EchoGuard(Settings()), syllables(700, random)
    played[600:] = -100.0
    margins = listen(guard, played, microphone(played, 20, -12.0, random, room=4))
    assert np.mean(margins[600:] > 0) < 0.03
    assert guard.sounding(1610 * STEP_NS)
    assert not guard.sounding(1900 * STEP_NS)


@few
@given(delays, st.floats(-24, -10), st.integers(1, 25), seeds)
def test_what_is_told_too_late_is_not_taken_for_somebody(delay: int, leak: float, late: int, seed: int) -> None:
    """A busy machine: the sound is heard before it is told that it was played."""
    random = np.random.default_rng(seed)
    played = syllables(700, random)
    heard, guard = microphone(played, delay, leak, random), EchoGuard(Settings())
    listen(guard, played[:500], heard[:500])
    margins = []
    for at in range(500, 698, 2):
        guard.played((1000 + at - late) * STEP_NS, played[at - late : at - late + 2])
        margins.append(guard.heard((1000 + at) * STEP_NS, heard[at : at + 2])[:, 0])
    assert np.mean(np.concatenate(margins) > 0) < 0.1


@few
@given(delays, st.one_of(st.just(-90.0), leaks), st.integers(120, 400), st.integers(0, 150), seeds)
def test_who_speaks_after_a_reply_is_not_taken_for_its_echo(
    delay: int, leak: float, length: int, gap: int, seed: int
) -> None:
    """Even the first reply, from its last sample on, in a room that rings and in one where nothing of it is heard."""
    random = np.random.default_rng(seed)
    played, user = np.full((900, 3), -100.0), np.full((900, 3), -120.0)
    played[100 : 100 + length] = syllables(length, random)
    begins = 100 + length + gap
    user[begins : begins + 150] = syllables(150, random) + 4
    guard = EchoGuard(Settings())
    heard = microphone(played, delay, leak, random, room=2, user=user)
    taken = []
    for at in range(0, len(played), 2):
        guard.played((1000 + at) * STEP_NS, played[at : at + 2])
        margins = guard.heard((1000 + at) * STEP_NS, heard[at : at + 2], hold=at >= begins + 20)
        taken += [guard.echoing and float(margins.max()) <= 0] * 2
    assert not all(taken[begins : begins + 20])
    loud = np.flatnonzero(user[begins + 20 : begins + 150].max(axis=1) > -26) + begins + 20
    assert np.mean(np.array(taken)[loud]) < 0.1
    assert not any(taken[begins + 101 :])  # by then no echo can be left


def test_what_is_forgotten_teaches_nothing() -> None:
    random = np.random.default_rng(8)
    played = syllables(600, random)
    user = np.full((600, 3), -120.0)
    user[400:] = -10.0
    heard = microphone(played, 10, -20.0, random, 0, user)
    guard = EchoGuard(Settings())
    listen(guard, played[:400], heard[:400])
    before = guard.estimate.leak_db
    for at in range(400, 600, 2):
        guard.played((1000 + at) * STEP_NS, played[at : at + 2])
        guard.heard((1000 + at) * STEP_NS, heard[at : at + 2], hold=True)
        guard.forget((1000 + at) * STEP_NS)
    more = syllables(100, random)
    listen(guard, more, microphone(more, 10, -20.0, random), first=1600)
    assert abs(guard.estimate.leak_db - before) < 3
