"""What the front door costs: ``assistant bench gateway``. A daemon of its own, asked by HTTP and beside it by bus.

``added_first_token_ms``: the way of a question to the model and of its first token back, without the model's own time,
by HTTP over what it is by bus. ``clients``: many at once, each with a question; who is refused is told when to
come again, whoever gets neither that nor an answer is lost. ``follow_up``: a long conversation's next question, as a
share of what the same costs where nothing of the conversation is in the KV cache. ``event_delay_ms``: from the bus to a
client of /ws. ``page_kb``: the console, all its files. ``machine.load``: how much else there was to do, before and
after.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from websockets.sync.client import connect

from assistant import paths
from assistant.bus import Bus
from assistant.client import Client, private
from assistant.commands import FAILED, Failure
from assistant.commands._gateway_client import PATIENCE_S, Answer, Door, Onlooker, Reader
from assistant.gateway.page import leaves
from assistant.messages import Complete, Heartbeat, ReplyEnded, ReplyToken, Said, Script, Turn

Say = Callable[[str], None]

CLIENTS = 50
QUESTION = "what color is the ball"
SAID = (("what do you see", "I see a red ball and a blue cube."), ("where is the ball", "It is left of the cube."))
# One program that asks as fast as it can is what is measured; how many may wait stays as it is.
UNLIMITED = ["gateway.limits.requests_per_s=100000", "gateway.limits.burst=100000", "log.level=warning"]


class Extent(NamedTuple):
    asked: int  # questions by each way
    rounds: int  # of CLIENTS at once
    turns: int  # of the long conversation
    follow_ups: int
    events: int  # questions whose tokens are followed


WHOLE, QUICK = Extent(100, 3, 24, 10, 30), Extent(6, 2, 6, 2, 3)


def measure(profile: str, sets: Sequence[str], board: str, quick: bool, say: Say) -> dict[str, Any]:
    """All figures. Raises Failure where a question was not answered, Unavailable where the daemon does not start."""
    extent = QUICK if quick else WHOLE
    before = os.getloadavg()[0]
    with private(profile, [*UNLIMITED, *sets], board, gateway=True) as runtime, _onlooker(runtime) as onlooker:
        port, pid = _gateway(runtime)
        say(f"{2 * extent.asked} questions, by HTTP and by bus …")
        figures: dict[str, Any] = {"added_first_token_ms": _added(runtime, port, onlooker, extent.asked)}
        say(f"events of {extent.events} answers …")
        figures["event_delay_ms"] = _events(runtime, port, onlooker, extent.events)
        say(f"{extent.rounds} times {CLIENTS} clients at once …")
        figures |= _clients(port, pid, extent.rounds)
        say("a long conversation …")
        figures["follow_up"] = _follow_up(port, extent.turns, extent.follow_ups)
        figures["page_kb"] = _page()
    load = {"before": round(before, 2), "after": round(os.getloadavg()[0], 2)}
    figures["machine"] = {"cores": os.cpu_count(), "load": load}
    return figures


@contextmanager
def _onlooker(runtime: Path) -> Iterator[Onlooker]:
    with closing(Onlooker(runtime)) as onlooker:
        yield onlooker


def _gateway(runtime: Path) -> tuple[int, int]:
    """The gateway's port and process."""
    with closing(Client(runtime)) as client:
        beat = client.bus.wait_for(Heartbeat, PATIENCE_S, lambda beat: "port" in beat.figures)
    if beat is None:
        raise Failure("the gateway does not tell its port; see the daemon's log", FAILED)
    return int(beat.figures["port"]), int(beat.figures["pid"])


# --- the way ---


def _added(runtime: Path, port: int, onlooker: Onlooker, count: int) -> dict[str, float]:
    by_http, by_bus = [], []
    with closing(Door(port)) as door, closing(Bus(runtime)) as bus:
        bus.listen(ReplyToken, ReplyEnded)
        for number in range(count + 2):
            ways = _way(lambda: _by_http(door), onlooker), _way(lambda: _by_bus(bus), onlooker)
            if number >= 2:  # the first ones warm up
                by_http.append(ways[0])
                by_bus.append(ways[1])
    base = float(np.median(by_bus))
    return quantiles([way - base for way in by_http]) | {"bus_ms": round(base, 2)}


def _way(ask: Callable[[], int], onlooker: Onlooker) -> float:
    """Milliseconds to and from the model. ``ask`` gives when the first token was there, ns."""
    began = time.monotonic_ns()
    first = ask()
    seen = onlooker.since(began)
    if seen is None or not seen.first_token_at or not first:
        raise Failure("a question was not answered; see the daemon's log", FAILED)
    return (first - began - seen.model_ns) / 1e6


def _by_http(door: Door) -> int:
    return _served(door.complete([_said("user", QUESTION)], 8)).first_token_at


def _by_bus(bus: Bus) -> int:
    turn, first = Turn("api-bench", time.monotonic_ns()), 0
    script = Script(messages=(Said("user", (QUESTION,)),))
    bus.send(Complete(turn=turn, max_tokens=8, temperature=0.0), msgspec.msgpack.encode(script))
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        received = bus.receive(1.0)
        message = received.message if received is not None else None
        if isinstance(message, ReplyToken) and message.turn == turn:
            first = first or time.monotonic_ns()
        elif isinstance(message, ReplyEnded) and message.turn == turn:
            break
    return first


def _served(answer: Answer) -> Answer:
    if answer.outcome != "served":
        raise Failure(f"a question was not answered: {answer.why}", FAILED)
    return answer


# --- events ---


def _events(runtime: Path, port: int, onlooker: Onlooker, count: int) -> dict[str, float]:
    """Of each token of a spoken answer: from the bus to a client of /ws."""
    with connect(f"ws://127.0.0.1:{port}/ws", max_size=None) as socket, closing(Client(runtime)) as client:
        reader = Reader(socket)
        for _ in range(count):
            (turn,) = [one.message.turn.start for one in client.ask(QUESTION) if isinstance(one.message, ReplyEnded)]
        if not reader.await_reply(turn):
            raise Failure("an answer did not come over /ws; see the daemon's log", FAILED)
    delays = [(at - onlooker.tokens[key]) / 1e6 for key, at in reader.tokens.items() if key in onlooker.tokens]
    return quantiles(delays) | {"events": len(delays)}


# --- many ---


def _clients(port: int, pid: int, rounds: int) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    why: Counter[str] = Counter()
    memory = []
    with closing(Door(port)) as door:
        model = door.model
    for _ in range(rounds):
        ready = threading.Barrier(CLIENTS)
        with ThreadPoolExecutor(CLIENTS) as pool:
            for answer in pool.map(_one, [port] * CLIENTS, [model] * CLIENTS, [ready] * CLIENTS):
                outcomes[answer.outcome] += 1
                why[answer.why] += answer.outcome == "lost"
        memory.append(_resident_mb(pid))
    told: dict[str, Any] = {name: outcomes[name] for name in ("served", "refused", "lost")}
    if outcomes["lost"]:
        told["why"] = why.most_common(1)[0][0]
    return {"clients": told, "gateway_mb": {"first": memory[0], "last": memory[-1]}}


def _one(port: int, model: str, ready: threading.Barrier) -> Answer:
    with closing(Door(port, model)) as door:
        ready.wait(PATIENCE_S)
        return door.complete([_said("user", QUESTION)], 4)


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


# --- a long conversation ---


def _follow_up(port: int, turns: int, count: int) -> dict[str, Any]:
    """The next question of a conversation that was answered before; and the same where nothing of it is cached, for it
    begins with other words."""
    computed: dict[str, list[int]] = {"ours": [], "anew": []}
    took: dict[str, list[float]] = {"ours": [], "anew": []}
    with closing(Door(port)) as door:
        for number in range(count):
            chat = _conversation(turns, number)
            before = _served(door.complete(chat, 8))
            following = [*chat, _said("assistant", before.text), _said("user", QUESTION)]
            elsewhere = [_said("user", f"where is number {number}"), *following[1:]]
            for name, asked in (("ours", following), ("anew", elsewhere)):
                began = time.monotonic_ns()
                answer = _served(door.complete(asked, 4))
                took[name].append((answer.first_token_at - began) / 1e6)
                cached = (answer.usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
                computed[name].append(answer.usage["prompt_tokens"] - cached)
    ours, anew = sum(computed["ours"]), sum(computed["anew"])
    first_ms = {name: float(np.median(values)) for name, values in took.items()}
    return {
        "prompt_tokens_ratio": round(ours / max(1, anew), 3),
        "time_ratio": round(first_ms["ours"] / first_ms["anew"], 3),
        "prompt_tokens": {"computed": ours // count, "without_reuse": anew // count},
        "first_token_ms": {name: round(value, 1) for name, value in first_ms.items()},
    }


def _conversation(turns: int, number: int) -> list[dict[str, str]]:
    """Up to a question, of that many turns."""
    chat = [_said("user", f"what is left of number {number}"), _said("assistant", SAID[0][1])]
    for index in range(turns - 1):
        question, answer = SAID[index % len(SAID)]
        chat += [_said("user", question), _said("assistant", answer)]
    return [*chat, _said("user", QUESTION)]


def _said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


# --- the page ---


def _page() -> float:
    """All files of the console, in units of 1000 bytes."""
    files = {path: leaf for path, leaf in leaves(paths.web()).items() if path.startswith("/static/")}
    return round(sum(len(leaf.body) for leaf in files.values()) / 1000, 1)


def quantiles(values: Sequence[float]) -> dict[str, float]:
    p50, p99 = np.percentile(values, [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}
