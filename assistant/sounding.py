"""Replies that the speaker has and has not spoken to their end."""

from assistant.core.reply import Reply
from assistant.messages import Turn


class Sounding:
    """What is heard of a reply is what stays of it, so the next prompt waits for that."""

    def __init__(self) -> None:
        self._replies: dict[Turn, tuple[Reply, bool]] = {}  # the flag: it was cut
        self._speaker: float | None = None  # process id; None: there is no speaker

    @property
    def going_on(self) -> bool:
        """Is there more to be heard of a reply?"""
        return self._speaker is not None and bool(self._replies)

    def speaker(self, pid: float) -> None:
        """There is a speaker. Of what another process had to say nothing more is told."""
        if self._speaker is not None and pid != self._speaker:
            self._replies.clear()
        self._speaker = pid

    def add(self, turn: Turn, reply: Reply, cut: bool) -> None:
        self._replies[turn] = reply, cut

    def of(self, turn: Turn) -> Reply | None:
        return self._replies.get(turn, (None, False))[0]

    def replaced(self, turn: Turn) -> None:
        """The question is another one now, and nothing was heard of the answer to what it was."""
        for older in [one for one in self._replies if one.same(turn)]:
            del self._replies[older]

    def over(self, turn: Turn) -> str | None:
        """The speaker is done with a reply: what was heard of it, if that is not all."""
        reply, cut = self._replies.pop(turn, (None, False))
        return None if reply is None or (reply.wholly_spoken and not cut) else reply.heard()
