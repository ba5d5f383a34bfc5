"""Who asks, and who listens, in ``assistant bench gateway``: a client of the API, and one that watches the bus."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

from websockets.sync.client import ClientConnection

from assistant.bus import Bus
from assistant.messages import ReplyEnded, ReplyToken, Turn, TurnStarted

PATIENCE_S = 60.0  # for an answer; for whoever waits in a queue of them
COMPLETIONS, MODELS = "/v1/chat/completions", "/v1/models"
LAST = "[DONE]"  # of a stream, as OpenAI has it

Chat = Sequence[Mapping[str, str]]


class Answer(NamedTuple):
    outcome: Literal["served", "refused", "lost"]
    text: str = ""
    first_token_at: int = 0  # ns; 0: none came
    usage: Mapping[str, Any] = {}
    why: str = ""


class Door:
    """One connection to the gateway, kept open."""

    def __init__(self, port: int, model: str = "") -> None:
        """``model``: whom is asked; "" whatever there is."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self.model = model or str(json.loads(self.get(MODELS))["data"][0]["id"])

    def close(self) -> None:
        self._connection.close()

    def get(self, path: str) -> bytes:
        """What lies there. Raises OSError for any other answer than 200."""
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise OSError(f"the gateway answers {answer.status} at {path}")
        return body

    def complete(self, chat: Chat, max_tokens: int) -> Answer:
        """Ask as OpenAI's clients do, and read the stream. Never raises: an answer that did not come is lost."""
        asked = {"model": self.model, "messages": list(chat), "max_tokens": max_tokens, "temperature": 0}
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            self._connection.request("POST", COMPLETIONS, json.dumps(asked), {"Content-Type": "application/json"})
            with closing(self._connection.getresponse()) as answer:
                told = _streamed(answer) if answer.status == http.client.OK else None
                said = answer.read()  # what is left belongs to this answer, not to the next
                if told is not None:
                    return told
                patient = answer.getheader("Retry-After") is not None
                why = f"{answer.status}: {said[:200].decode('utf-8', 'replace')}"
                return Answer("refused" if patient else "lost", why=why)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            return Answer("lost", why=f"{type(error).__name__}: {error}")


def _streamed(answer: http.client.HTTPResponse) -> Answer:
    text, first, reason = "", 0, None
    usage: Mapping[str, Any] = {}
    for data in _events(answer):
        if data == LAST:
            outcome: Literal["served", "lost"] = "served" if reason is not None else "lost"
            return Answer(outcome, text, first, usage, "" if reason is not None else "it has no finish_reason")
        chunk = json.loads(data)
        if "error" in chunk:
            return Answer("lost", text, first, why=str(chunk["error"]))
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            piece = choice["delta"].get("content") or ""
            first = first or (time.monotonic_ns() if piece else 0)
            text += piece
            reason = choice.get("finish_reason") or reason
    return Answer("lost", text, first, why="the stream broke off")


def _events(answer: http.client.HTTPResponse) -> Iterator[str]:
    """The data of server-sent events, each as soon as it is there."""
    while line := answer.readline():
        if line.startswith(b"data:"):
            yield line[5:].strip().decode()


class Seen(NamedTuple):
    """A turn as it crossed the bus: when each was sent, ns."""

    turn: Turn
    started_at: int
    first_token_at: int

    @property
    def model_ns(self) -> int:
        return self.first_token_at - self.started_at


class Onlooker(threading.Thread):
    """Notes when turns and tokens were put on the bus, beside whoever asks."""

    def __init__(self, runtime: Path) -> None:
        super().__init__(name="onlooker", daemon=True)
        self.tokens: dict[tuple[int, int], int] = {}  # (the turn's start, index) -> when it was sent
        self._bus = Bus(runtime)
        self._bus.listen(TurnStarted, ReplyToken, ReplyEnded)
        self._begun: dict[Turn, int] = {}
        self._whole: dict[Turn, Seen] = {}
        self._changed = threading.Condition()
        self._over = False
        self.start()

    def run(self) -> None:
        while not self._over:
            received = self._bus.receive(0.1)
            if received is None:
                continue
            message, at = received.message, received.stamp.sent_at
            with self._changed:
                match message:
                    case TurnStarted(turn=turn):
                        self._begun[turn] = at
                    case ReplyToken(turn=turn, index=index):
                        self.tokens[turn.start, index] = at
                    case ReplyEnded(turn=turn) if turn in self._begun:
                        first = self.tokens.get((turn.start, 0), 0)
                        self._whole[turn] = Seen(turn, self._begun.pop(turn), first)
                        self._changed.notify_all()

    def since(self, at: int) -> Seen | None:
        """The turn that began then or later and is over; None where there is none in time."""
        with self._changed:
            found = self._changed.wait_for(lambda: [one for one in self._whole.values() if one.started_at >= at], 10.0)
        return min(found, key=lambda one: one.started_at) if found else None

    def close(self) -> None:
        self._over = True
        self.join()
        self._bus.close()


class Reader(threading.Thread):
    """Notes when tokens came over a socket."""

    def __init__(self, socket: ClientConnection) -> None:
        super().__init__(daemon=True)
        self.tokens: dict[tuple[int, int], int] = {}  # (the turn's start, index) -> ns
        self._socket = socket
        self._replies: set[int] = set()
        self._changed = threading.Condition()
        self.start()

    def run(self) -> None:
        for frame in self._socket:
            now = time.monotonic_ns()
            if isinstance(frame, bytes):
                continue  # sound
            event: dict[str, Any] = json.loads(frame)
            if event["event"] == "token":
                self.tokens[int(event["data"]["turn"]["start"]), event["data"]["index"]] = now
            elif event["event"] == "reply":
                with self._changed:
                    self._replies.add(int(event["data"]["turn"]["start"]))
                    self._changed.notify_all()

    def await_reply(self, start: int) -> bool:
        """Has the reply to that turn ended here as well?"""
        with self._changed:
            return self._changed.wait_for(lambda: start in self._replies, PATIENCE_S)
