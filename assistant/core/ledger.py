"""One record per turn, folded from the messages on the bus, for everyone who shows or stores what happened.

Messages of different services arrive in any order among each other, twice, or not at all (a service was killed): the
record is made of what is known, and None stands where a stage did not occur.
"""

from collections import OrderedDict, deque

from assistant.core.turnfacts import KINDS, Facts, TurnRecord, record_of
from assistant.messages import Message, Reason, ReplyEnded, Turn

__all__ = ["Ledger", "TurnRecord"]

STRAGGLER_S = 0.3  # how long a turn that is over waits for messages of other services that must have been sent
LOST_S = 20.0  # of silence about a turn


class Ledger:
    """Folds messages into the records of the last ``keep`` turns."""

    def __init__(self, keep: int = 100) -> None:
        self._keep = keep
        self._open: OrderedDict[tuple[str, int], Facts] = OrderedDict()
        self._closed: OrderedDict[tuple[str, int], TurnRecord] = OrderedDict()
        self._forgotten: deque[tuple[str, int]] = deque(maxlen=4 * max(1, keep))

    @property
    def records(self) -> tuple[TurnRecord, ...]:
        """All that is kept, in the order in which turns were over: dropped ones as well."""
        return tuple(self._closed.values())

    def fold(self, message: Message, sent_at: int, payload_samples: int = 0) -> list[TurnRecord]:
        """The turns that are complete now: the reply ended, and the speaker has played or dropped what it was given.

        Speech that opened no turn is only found in ``records``. ``payload_samples``: of an AudioOut. A turn that is
        over waits STRAGGLER_S, told by later messages of any kind (there are heartbeats), for what other services
        have sent for it.
        """
        turn = getattr(message, "turn", None)
        if isinstance(turn, Turn) and isinstance(message, KINDS):
            self._note(turn, message, sent_at, payload_samples)
        return self._settle(sent_at)

    def expire(self, now: int, after_s: float = LOST_S) -> list[TurnRecord]:
        """Close the turns of which nothing was heard for ``after_s``: they are "lost" (a service died)."""
        done = self._settle(now)
        for key, facts in list(self._open.items()):
            if now - facts.news_at <= after_s * 1e9:
                continue
            if not facts.begun:
                del self._open[key]  # speech that was worked for, and of which nothing came
            else:
                done.append(self._close(key, record_of(facts, "lost")))
        return done

    def _note(self, turn: Turn, message: Message, sent_at: int, samples: int) -> None:
        key = (turn.conversation, turn.start)
        closed = self._closed.get(key)
        if key in self._forgotten or (closed is not None and closed.turn.revision >= turn.revision):
            return  # a straggler of a turn that was told
        facts = self._open.get(key)
        if facts is None or facts.turn.revision < turn.revision:
            facts = self._open[key] = Facts(turn, facts)
        elif facts.turn.revision > turn.revision:
            return
        facts.note(message, sent_at, samples)
        if facts.dropped is not None and facts.started is None:
            self._close(key, record_of(facts, None))
        elif facts.over and facts.over_at is None:
            facts.over_at = facts.news_at
        while len(self._open) > 4 * self._keep:  # turns that never ended and were never expired
            self._open.popitem(last=False)

    def _settle(self, now: int) -> list[TurnRecord]:
        done = []
        for key, facts in list(self._open.items()):
            late = facts.over_at is not None and now - facts.over_at > STRAGGLER_S * 1e9
            if facts.ended is not None and facts.over and (late or not facts.missing):
                done.append(self._close(key, record_of(facts, _reason(facts, facts.ended))))
        return done

    def _close(self, key: tuple[str, int], record: TurnRecord) -> TurnRecord:
        self._open.pop(key, None)
        self._closed.pop(key, None)
        self._closed[key] = record
        while len(self._closed) > self._keep:
            self._forgotten.append(self._closed.popitem(last=False)[0])
        return record


def _reason(facts: Facts, ended: ReplyEnded) -> Reason:
    """A short reply is often whole before someone interrupts it: that it was not heard to its end is what counts."""
    cut = ended.reason in ("stop", "length", "context") and any(not said.complete for said in facts.said.values())
    return "interrupted" if cut else ended.reason
