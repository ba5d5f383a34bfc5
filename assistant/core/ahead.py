"""Is it worth while to work on a question that is still being spoken? What such work takes is learned as it goes."""

NEWS = 0.25  # weight of the newest value in an estimate
SPEECH_MS = 2500.0  # of a question, until some were heard
STILL = 0.8  # share of pictures taken while the user speaks that still hold at the end, until that is known
LEFT_LEAST = 0.3  # of a question's usual length, however long this one lasts already


class Estimate:
    """What something usually takes, from the times it took."""

    def __init__(self, first: float) -> None:
        """``first``: what is taken for it until it is known."""
        self.value, self._known = first, False

    def learn(self, value: float) -> None:
        self.value = self.value + NEWS * (value - self.value) if self._known else value
        self._known = True


class Chance(Estimate):
    """How often something is so. What is taken for it at first fades, a single case does not replace it."""

    def __init__(self, first: float) -> None:
        super().__init__(first)
        self._known = True


class Budget:
    """How much work nobody has asked for may be done: a share of the time. It opens again when it was earned.

    What turned out to be of use is given back: a question costs nothing, a television that goes on and on does.
    """

    def __init__(self, share: float, most_ms: float, full: bool = True) -> None:
        """``most_ms`` is saved at most; ``full``: at the beginning, else nothing."""
        self._share, self._most = share, most_ms
        self._left = most_ms if full else 0.0
        self._at: int | None = None

    def left(self, now: int) -> float:
        """Milliseconds that may be worked; ``now`` in ns."""
        if self._at is not None:
            self._left = min(self._most, self._left + self._share * (now - self._at) / 1e6)
        self._at = now if self._at is None else max(self._at, now)
        return self._left

    def spend(self, ms: float, now: int) -> None:
        self._left = self.left(now) - ms

    def save(self, most_ms: float) -> None:
        """Save so much at most from now on."""
        self._most = most_ms

    def give_back(self, ms: float) -> None:
        self._left = min(self._most, self._left + ms)


def left_ms(spoken_ms: float, usual_ms: float) -> float:
    """How much longer somebody will speak who has spoken for so long."""
    return max(usual_ms - spoken_ms, LEFT_LEAST * usual_ms)


def pays(left: float, job_ms: float, still: float) -> bool:
    """Does a job begun now, with ``left`` ms of speech to come, save more of the wait than it may cost?

    It cannot be stopped: should it be in vain (it is of use with a chance of ``still``), the right one waits for it.
    """
    saved, lost = min(left, job_ms), max(0.0, job_ms - left)
    return still * saved > (1.0 - still) * lost
