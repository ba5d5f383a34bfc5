"""Who has the floor in the live conversation: is the assistant answering? (Half-duplex: then speech is not for it.)"""

import sys

from assistant.messages import (
    LIVE,
    Interrupt,
    Message,
    ReplyEnded,
    ReplySentence,
    SpeakerIdle,
    Speaking,
    Spoken,
    Turn,
    TurnStarted,
)

# The messages that `fold` wants to see.
WATCHED: tuple[type[Message], ...] = (
    TurnStarted,
    ReplySentence,
    ReplyEnded,
    Speaking,
    Spoken,
    SpeakerIdle,
    Interrupt,
)


class Floor:
    """Folds the messages of a reply. A reply of which nothing was seen for ``patience_s`` no longer holds the floor: a
    process that died in the middle of it must not leave the microphone deaf."""

    def __init__(self, patience_s: float = 20.0) -> None:
        self._patience_ns = int(patience_s * 1e9)
        self._turn: Turn | None = None
        self._seen_at = 0
        self._answered = Turn(LIVE, 0)  # the newest to which a reply sounded, or was over without a sound

    def fold(self, message: Message, at: int) -> None:
        match message:
            case Speaking(turn=turn) | ReplyEnded(turn=turn, sentences=0) if turn.conversation == LIVE:
                self._answered = max(self._answered, turn)
            case Interrupt(conversation=conversation, before=before) if conversation == LIVE:
                self._answered = max(self._answered, Turn(LIVE, before - 1, sys.maxsize))
        match message:
            case TurnStarted(turn=turn) if turn.conversation == LIVE:
                self._turn, self._seen_at = turn, at
            case ReplyEnded(turn=turn, sentences=0) | SpeakerIdle(turn=turn) if turn == self._turn:
                self._turn = None
            case ReplySentence(turn=turn) | ReplyEnded(turn=turn) | Speaking(turn=turn) | Spoken(turn=turn):
                if turn == self._turn:
                    self._seen_at = at
            case Interrupt(conversation=conversation, before=before):
                if self._turn is not None and conversation == LIVE and self._turn.start < before:
                    self._turn = None

    def free(self) -> None:
        """A process of the reply was started anew: whatever it was doing is over."""
        self._turn = None

    def answered(self, turn: Turn) -> bool:
        """Whether a reply to the turn (or to a newer one) sounds or has sounded, or is over, if without a sound."""
        return turn <= self._answered

    def taken(self, now: int) -> bool:
        return self._turn is not None and now - self._seen_at <= self._patience_ns
