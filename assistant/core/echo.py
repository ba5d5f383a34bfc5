"""How much of what the microphone hears is the assistant's own voice.

The speaker tells how loud what it plays is; here that is compared to how loud the microphone is, in steps of 10 ms and
three bands. From the two envelopes come the delay (where they fit best), how much sound leaks from the speaker into the
microphone, and how long the room rings. What the microphone hears above that, no echo explains.

Pure: times and levels are arguments. No waveform is needed: levels survive what a cheap loudspeaker, a resampler and a
clock that drifts do to the samples, which is why this works where an adaptive filter loses its way.
"""

from collections import deque
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.core.levels import BANDS, MS, SILENCE, STEP_MS

STEP_NS = STEP_MS * MS
KEPT = 800  # steps that are remembered
LATE = 30  # steps: so much later than the sound it may be told what was played …
BEFORE = 100  # … and until then it is taken for as loud as the loudest of so many before
LOOKED = 300  # steps that an estimate is made of
ENOUGH = 50  # of them must have been heard
LATEST = 60  # steps: the longest delay
RINGING = 40  # steps that a room is followed for
# (reverberation time in s, its energy relative to the direct sound): from "dry" to "a bathroom"
ROOMS = ((0.0, 0.0), (0.2, 0.5), (0.4, 0.5), (0.4, 2.0), (0.8, 1.0), (0.8, 3.0))
QUIET = -70.0  # dBFS: what is played below this is the silence between two words
LOUD_DB = 12.0  # below the loudest that was played: louder steps say how much leaks
QUITE_SURE = 0.8  # … and half as much need have been heard
BETTER = 0.005  # in likeness: by so much another delay must be, to be believed instead
SURE = 0.55  # from this likeness of the envelopes on the delay is believed
LATELY = 20  # steps that nothing is learnt from yet: until it is clear whether somebody began to speak
TOGETHER = 12  # steps that are judged as one: noise comes and goes in 10 ms, who speaks does not …
BRIEFLY = 4  # … and when somebody speaks, how many: their pauses are of interest
LEAST_DB, MOST_DB = -3.0, 12.0  # above what is expected: no single step and band counts for more
USUAL_SHARE = 0.99  # of the time it is not further above what is expected than is usual here …
USUAL_DB = 0.02  # … a step: how fast that is learnt
UNUSUAL_DB = 0.0  # above what is usual
EVERY = 10  # steps between two estimates
QUIETEST = -62.0  # dBFS in a band: nobody who speaks is softer
AMBIENT_DB = 0.05  # a step: how fast the room's own noise is followed
FLOOR_DB = 2.0  # the mean of a noise lies so much above the floor that is followed
FLOOR_RISE_DB = 0.03  # a step: how fast the noise floor follows upwards (3 dB a second)

Levels = NDArray[np.float64]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The defaults were chosen with ``assistant bench bargein``; see docs/talking.md for the figures."""

    limit_db: float = -8.0  # a leak above this drowns the user: speech does not interrupt until it is less
    margin_db: Annotated[float, msgspec.Meta(ge=0)] = 2.5  # above echo and noise: from there on it is somebody
    known_ms: Annotated[int, msgspec.Meta(gt=0)] = 1000  # of loud reply that must have been heard before all this is so


class Estimate(msgspec.Struct, frozen=True):
    """What is known of the way from the speaker to the microphone."""

    known: bool = False  # False: nothing but a guess on the safe side
    delay_ms: int = 0
    certain: float = 0.0  # of the delay: how well the envelopes fit each other there, 0..1
    leak_db: float = 0.0  # power heard of what is played, relative to what is played
    room: int = 0  # which of ROOMS fits best


class EchoGuard:
    """One microphone, one speaker."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        bands = len(BANDS)
        self._played = np.zeros((bands, KEPT))  # power; the column of a step is its number modulo KEPT
        self._heard = np.full((bands, KEPT), np.nan)  # dBFS
        self._last_played = -KEPT  # the newest step in which anything was
        self._newest = 0  # number of the newest step of either
        self._told = -KEPT  # number of the newest of which it was told what was played, in a reply that goes on
        self._floor = np.full(bands, np.inf)
        self._smooth = np.full(bands, SILENCE)
        self._ambient = np.full(bands, np.inf)  # dBFS that the room has without any echo
        self._rested = 0  # steps that this was learnt from
        self._leak = np.zeros(bands)  # dB by which the room's answer to what is played is heard; a guess at first
        self._above: deque[float] = deque(maxlen=TOGETHER)  # dB by which the newest steps were louder than expected
        self._waiting: deque[float] = deque()  # how far it was above, together: not learnt from yet
        self._usual = LEAST_DB  # dB that it nearly always stays below
        self._usually = 0  # steps that this was learnt from
        self._bound = np.zeros(bands)  # dB: while the leak is not known, it is not more than this
        self._delay = 0
        self._room = 0
        self._loud = 0  # loud steps that were learnt from
        self._due = 0
        self._responses = [response(*room) for room in ROOMS]
        self.estimate = Estimate()
        self.echoing = False  # an echo is to be expected in the newest step that is not lost in the room's own noise
        self.ringing = False  # … and is louder than that

    @property
    def too_strong(self) -> bool:
        """Whether so much leaks that somebody who speaks over it cannot be told from it."""
        return self.estimate.known and self.estimate.leak_db > self._settings.limit_db

    def played(self, at: int, levels: Levels) -> None:
        """What left for the ear from ``at`` (ns) on: float64 [steps, bands], dBFS."""
        first = at // STEP_NS
        self._advance(first + len(levels) - 1)
        self._told = max(self._told, first + len(levels) - 1)
        for number, row in enumerate(levels, first):
            if number > self._newest - KEPT:
                self._played[:, number % KEPT] = np.where(row > SILENCE, 10 ** (row / 10), 0.0)
                if row.max() > QUIET:
                    self._last_played = number

    def heard(self, at: int, levels: Levels, hold: bool = False) -> Levels:
        """What the microphone heard from ``at`` (ns) on: float64 [steps, bands], dBFS. Gives by how many dB it is
        louder than echo and noise explain, float64 [steps, 2]: the TOGETHER steps that end with each, and the newest
        BRIEFLY of them; 0 and less is explained. ``hold``: somebody may be speaking, and nothing is to be learnt from
        it yet."""
        first = at // STEP_NS
        self._advance(first + len(levels) - 1)
        margins = np.zeros((len(levels), 2))
        for number, row in enumerate(levels, first):
            if number <= self._newest - KEPT:
                continue
            self._heard[:, number % KEPT] = row
            self._follow_floor(row)
            expected = self._expected(number) if self._sounds(number) else np.full(len(row), SILENCE)
            room = np.maximum(self._ambient, QUIETEST)
            self.echoing = self._sounds(number) and bool(np.any(expected > room - 3.0))
            self.ringing = self._sounds(number) and bool(np.mean(expected - room) > 0)
            if not hold and np.all(expected < self._ambient - 3.0):
                self._follow_ambient(row)
            above = row - np.logaddexp(expected * _LN, room * _LN) / _LN
            self._above.append(float(np.clip(above, LEAST_DB, MOST_DB).mean()))
            together = sum(self._above) / TOGETHER
            briefly = sum(list(self._above)[-BRIEFLY:]) / BRIEFLY
            margin = max(self._settings.margin_db, self._usual + UNUSUAL_DB)
            margins[number - first] = together - margin, briefly - margin
            self._follow_usual(together, hold)
            if self._sounds(number):
                self._limit_leak(number)
                self._due += 1
                if self._due >= EVERY and not (hold and self.estimate.known):
                    self._due = 0
                    self._learn(number - LATELY if self._told < 0 else min(number - LATELY, self._told))
        return margins

    def sounding(self, at: int) -> bool:
        """Whether anything of what was played may still be heard at ``at``, ns."""
        return self._sounds(at // STEP_NS)

    def over(self) -> None:
        """The reply is over: what it was not told of was silence."""
        self._told = -KEPT

    def forget(self, since: int) -> None:
        """What was heard from ``since`` (ns) on was the user: nothing is learnt from it."""
        for number in range(max(since // STEP_NS, self._newest - KEPT + 1), self._newest + 1):
            self._heard[:, number % KEPT] = np.nan

    # --- expecting ---

    def _expected(self, number: int) -> Levels:
        """The echo in a step, dBFS in each band."""
        if self.estimate.known and (self.estimate.certain >= SURE):
            answer = self._responses[self._room]
            power = self._sounded(number - self._delay - len(answer), len(answer) + 2)
            # of three neighbouring steps the loudest: the two clocks' steps do not begin together, nor keep pace
            answers = np.max([power[:, shift : shift + len(answer)] @ answer[::-1] for shift in range(3)], axis=0)
        else:  # it may be any
            answers = self._sounded(number - LATEST, LATEST + 2).max(axis=1)
        leak = self._leak if self.estimate.known else self._bound
        return np.asarray(10 * np.log10(answers + 1e-12) + leak, np.float64)

    def _sounded(self, first: int, count: int) -> Levels:
        """What was played in these steps; of what it was not told yet, as loud as the loudest of late."""
        power, numbers = self._window(self._played, first, count), np.arange(first, first + count)
        late = (numbers > self._told) & (numbers <= self._told + LATE)
        if late.any():
            power[:, late] = self._window(self._played, self._told - BEFORE + 1, BEFORE).max(axis=1)[:, None]
        return power

    def _follow_floor(self, row: Levels) -> None:
        """The noise floor falls at once and rises slowly."""
        self._smooth = np.where(self._smooth <= SILENCE, row, self._smooth + 0.2 * (row - self._smooth))
        self._floor = np.minimum(self._smooth, self._floor + FLOOR_RISE_DB)

    def _follow_ambient(self, row: Levels) -> None:
        """How loud the room is, learnt quickly at first."""
        self._rested += 1
        if self._rested == 1:
            self._ambient = row.copy()
        self._ambient += np.sign(row - self._ambient) * max(AMBIENT_DB, 2.5 / self._rested)

    def _follow_usual(self, together: float, hold: bool) -> None:
        """How far it is above what is expected in its loud moments: a television does not interrupt."""
        self._waiting.append(together)
        if hold:
            self._waiting.clear()
        elif len(self._waiting) > LATELY:
            self._usually += 1
            pace = max(USUAL_DB, 2.5 / self._usually)
            louder = self._waiting.popleft() > self._usual
            self._usual += pace * (USUAL_SHARE if louder else USUAL_SHARE - 1.0)

    def _limit_leak(self, number: int) -> None:
        """Before anything else is known of it, an echo that is not heard cannot be loud: no more leaks than the loudest
        that was heard since the loudest that was played must have arrived."""
        if self.estimate.known:
            return
        heard = self._window(self._heard, number - LATEST + 1, LATEST)
        if np.isnan(heard[0]).mean() > 0.1:
            return  # not yet listened for so long
        played = self._window(self._played, number - 2 * LATEST + 1, LATEST + 1).max(axis=1)
        limit = np.nanmax(heard, axis=1) - 10 * np.log10(played + 1e-12)
        self._bound = np.where(played > 10 ** (QUIET / 10), np.minimum(self._bound, limit), self._bound)

    def _sounds(self, number: int) -> bool:
        return number - self._last_played <= LATEST + RINGING

    # --- learning ---

    def _learn(self, now: int) -> None:
        heard = self._window(self._heard, now - LOOKED + 1, LOOKED)
        reach = LATEST + RINGING
        played = self._window(self._played, now - LOOKED + 1 - reach, LOOKED + reach)
        good = ~np.isnan(heard[0])
        if good.sum() < ENOUGH:
            return
        peak = 10 * np.log10(played.max(axis=1) + 1e-12)[:, None]
        levels = np.maximum(10 * np.log10(played + 1e-12), peak - 30)
        self._find_delay(heard, levels, good, reach)
        best = np.inf
        for room, answer in enumerate(self._responses):
            echo = self._answers(played, answer, reach - self._delay)
            fit = self._fit(heard, echo, good)
            if fit is not None and fit[0] < best - 0.02:
                best, leak, loud, total = *fit, echo
                self._room = room
        if not np.isfinite(best):
            return
        self._leak = leak
        self._loud = max(self._loud, loud)
        power = 10 ** (self._leak[:, None] / 10) * total
        ratio = float(power.sum() / max(1e-12, played[:, reach - self._delay :].sum()))
        self.estimate = Estimate(
            known=self._loud * (2 if self._certain >= QUITE_SURE else 1) >= self._settings.known_ms // STEP_MS,
            delay_ms=self._delay * STEP_MS,
            certain=self._certain,
            leak_db=10 * float(np.log10(max(1e-12, ratio))),
            room=self._room,
        )

    _certain = 0.0

    def _find_delay(self, heard: Levels, levels: Levels, good: NDArray[np.bool_], reach: int) -> None:
        """Where the two envelopes, in dB, are most alike."""
        floor = np.where(np.isfinite(self._floor), self._floor, SILENCE)[:, None]
        ours = np.maximum(np.where(good, heard, 0.0), floor + 3)[:, good]
        levels = np.maximum(levels + self._leak[:, None], floor + 3)
        windows = np.lib.stride_tricks.sliding_window_view(levels, LOOKED, axis=1)[:, : reach + 1, :]
        theirs = windows[:, reach - np.arange(LATEST + 1)][:, :, good]
        likeness = np.mean(_correlation(ours[:, None, :], theirs), axis=0)
        found = int(np.argmax(likeness))
        held = likeness[self._delay]
        if likeness[found] > held + BETTER or self._certain < SURE:
            self._delay = found
            held = likeness[found]
        self._certain = float(max(0.0, held))

    def _answers(self, played: Levels, answer: Levels, from_: int) -> Levels:
        """What the room makes of what is played, power [bands, LOOKED]."""
        whole = np.stack([np.convolve(band, answer)[: len(band)] for band in played])
        return whole[:, from_ : from_ + LOOKED]

    def _fit(self, heard: Levels, echo: Levels, good: NDArray[np.bool_]) -> tuple[float, Levels, int] | None:
        """How badly (dB) this echo fits what was heard, and its leak in each band."""
        bands = len(BANDS)
        leak, misfit, count = np.zeros(bands), np.zeros(bands), 0
        levels = 10 * np.log10(echo + 1e-12)
        for band in range(bands):
            loud = good & (levels[band] > levels[band][good].max(initial=SILENCE) - LOUD_DB) & (levels[band] > QUIET)
            count = max(count, int(loud.sum()))
            if loud.sum() < 10:
                return None
            floor = self._floor[band]
            leak[band] = np.median(_without(heard[band][loud], floor + FLOOR_DB) - levels[band][loud])
            expected = np.logaddexp((levels[band] + leak[band]) * _LN, floor * _LN) / _LN
            rest = (heard[band] - expected)[good]
            misfit[band] = np.mean(np.minimum(np.abs(rest), 10.0))
        return float(misfit.mean()), leak, count

    # --- the rings ---

    def _advance(self, number: int) -> None:
        if number - self._newest > KEPT:
            self._newest = number - KEPT
        for fresh in range(self._newest + 1, number + 1):
            self._played[:, fresh % KEPT] = 0.0
            self._heard[:, fresh % KEPT] = np.nan
        self._newest = max(self._newest, number)

    def _window(self, ring: Levels, first: int, count: int) -> Levels:
        """The columns of these steps; what is not remembered was silence (or, of what was heard, is not known)."""
        numbers = np.arange(first, first + count)
        known = (numbers <= self._newest) & (numbers > self._newest - KEPT)
        return np.where(known, ring[:, numbers % KEPT], np.nan if ring is self._heard else 0.0)


_LN = np.log(10) / 10  # dB to natural logarithms of power


def _without(levels: Levels, noise: float) -> Levels:
    """Levels less the noise in them, dB; what is hardly above it counts as well below it."""
    return 10 * np.log10(np.maximum(10 ** (levels / 10) - 10 ** (noise / 10), 0.2 * 10 ** (noise / 10)))


def response(seconds: float, share: float) -> Levels:
    """A room's answer to a step of sound, power a step: the direct sound, and a tail that falls by 60 dB in that time
    and holds ``share`` of the direct sound's energy."""
    answer = np.zeros(RINGING)
    answer[0] = 1.0
    if seconds:
        tail = 10 ** (-6 * np.arange(RINGING) * STEP_MS / 1000 / seconds)
        answer += share * tail / tail.sum()
    return answer


def _correlation(one: Levels, other: Levels) -> Levels:
    """Of the last axis; 0 where one of the two does not move."""
    one, other = (values - values.mean(axis=-1, keepdims=True) for values in (one, other))
    size = np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))
    return np.asarray(np.where(size > 1e-6, (one * other).sum(axis=-1) / np.maximum(size, 1e-6), 0.0), np.float64)
