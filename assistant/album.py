"""The embeddings in hand, and which of them nobody has asked for yet."""

from collections import OrderedDict

import msgspec

from assistant.encoding import Encoded
from assistant.messages import Embedding, Frame, Look


class Album:
    """By identity, the newest last."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._embeddings: OrderedDict[str, tuple[Embedding, bytes]] = OrderedDict()
        self._unasked: set[str] = set()  # encoded ahead, and shown in no turn yet

    def __contains__(self, identity: str) -> bool:
        return identity in self._embeddings

    def keep(self, done: Encoded, unasked: bool) -> None:
        if unasked:
            self._unasked.add(done.job.identity)
        self._embeddings[done.job.identity] = done.message, done.payload
        while len(self._embeddings) > self._kept:
            self._unasked.discard(self._embeddings.popitem(last=False)[0])

    def held(self) -> list[Embedding]:
        return [message for message, _ in self._embeddings.values()]

    def unasked(self) -> list[Embedding]:
        return [message for message in self.held() if message.identity in self._unasked]

    def asked(self, identity: str) -> None:
        """A turn shows it."""
        self._unasked.discard(identity)

    def again(self, identity: str, look: Look, frame: Frame) -> tuple[Embedding, bytes]:
        """For a look that is answered with it, because the frame shows the same. What it cost is told with the first
        turn that shows it."""
        message, payload = self._embeddings[identity]
        verified = max(frame.captured_at, message.verified_at)
        message = msgspec.structs.replace(message, turn=look.turn, verified_at=verified, ahead=look.ahead)
        if identity not in self._unasked:
            message = msgspec.structs.replace(message, engine_ms=0.0, npu=None)
        if not look.ahead:
            self.asked(identity)
        return message, payload


def unchanged(look: Look, frame: Frame) -> Embedding:
    """The answer where the picture that the look knows still shows what the frame does."""
    return Embedding(
        turn=look.turn,
        identity=look.known,
        camera=frame.camera,
        frame_seq=frame.seq,
        captured_at=frame.captured_at,
        verified_at=frame.captured_at,
        signature=frame.signature,
        region=look.region,
        form="unchanged",
        ahead=look.ahead,
    )
