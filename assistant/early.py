"""What reaches dialogue while its model is still loading."""

from assistant.answering import Answering
from assistant.core import personas
from assistant.core.sentences import language
from assistant.messages import LIVE, Ask, Heard, TurnStarted
from assistant.service import Service
from assistant.wire import Received

SOON_NS = 3_000_000_000  # a question waits so long for a model that is loading


class Early:
    """What arrives while the model loads. A question of the live conversation waits a little, then is told why."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.kept: list[Received] = []

    def take(self, received: Received | None) -> None:
        if received is not None:
            self.kept.append(received)
        now = self._service.clock()
        for one in [one for one in self.kept if now - one.stamp.sent_at > SOON_NS]:
            if isinstance(one.message, Heard | Ask) and one.message.turn.conversation == LIVE:
                self.kept.remove(one)
                self._tell(one.message)

    def _tell(self, asked: Heard | Ask) -> None:
        at = asked.last_sample_at if isinstance(asked, Heard) else asked.turn.start
        spoken = isinstance(asked, Heard)
        self._service.publish(TurnStarted(turn=asked.turn, text=asked.text, spoken=spoken, last_sample_at=at))
        answering = Answering(self._service.publish, asked.turn, asked.text, language(asked.text), False)
        answering.say(personas.say("still_loading", answering.language))
        answering.end("unseen", "the language model is still loading")
