"""``assistant bench gateway``: every figure is there, and who gets no answer is not taken for served."""

import http.server
import json
import math
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from assistant.commands import _gateway, main
from assistant.commands._gateway_client import Door

WHOLE = [
    {"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
    {"choices": [{"delta": {"content": "It is"}, "finish_reason": None}]},
    {"choices": [{"delta": {"content": " red."}, "finish_reason": None}]},
    {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 9}},
]


def stream(*chunks: object, end: bool = True) -> bytes:
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks) + b"data: [DONE]\n\n" * end


ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "whole": (200, {}, stream(*WHOLE)),
    "torn": (200, {}, stream(*WHOLE[:3], end=False)),
    "no reason": (200, {}, stream(*WHOLE[:3])),
    "failed": (200, {}, stream(WHOLE[1], {"error": {"message": "the model died"}})),
    "busy": (429, {"Retry-After": "5"}, b"{}"),
    "rude": (429, {}, b"{}"),
    "broken": (500, {}, b"oops"),
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server that answers as the question says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"data": [{"id": "pico"}]}')

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert asked["model"] == "pico"
            status, headers, body = ANSWERS[asked["messages"][0]["content"]]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("asked", "outcome", "why"),
    [
        ("whole", "served", ""),
        ("torn", "lost", "broke off"),
        ("no reason", "lost", "finish_reason"),
        ("failed", "lost", "the model died"),
        ("busy", "refused", "429"),
        ("rude", "lost", "429"),  # nobody knows when to come again
        ("broken", "lost", "oops"),
    ],
)
def test_what_becomes_of_a_question(port: int, asked: str, outcome: str, why: str) -> None:
    with closing(Door(port)) as door:
        answer = door.complete([{"role": "user", "content": asked}], 8)
    assert answer.outcome == outcome
    assert why in answer.why
    assert bool(answer.why) == (outcome != "served")
    if outcome == "served":
        assert (answer.text, answer.usage) == ("It is red.", {"prompt_tokens": 9})
        assert answer.first_token_at > 0


def test_where_nobody_answers_the_question_is_lost() -> None:
    with closing(Door(1, "pico")) as door:  # a port of the system's, that nobody listens at
        answer = door.complete([{"role": "user", "content": "whole"}], 8)
    assert (answer.outcome, "ConnectionRefusedError" in answer.why) == ("lost", True)


def test_a_longer_conversation_has_the_same_beginning() -> None:
    short, long = _gateway._conversation(3, 7), _gateway._conversation(9, 7)
    assert long[: len(short) - 1] == short[:-1]
    assert [message["role"] for message in short] == ["user", "assistant"] * 3 + ["user"]
    assert _gateway._conversation(3, 8)[0] != short[0]


def test_every_figure_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gateway", "--quick", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {
        "added_first_token_ms", "event_delay_ms", "clients", "gateway_mb", "follow_up", "page_kb", "machine",
    }  # fmt: skip
    for name in ("added_first_token_ms", "event_delay_ms"):
        assert figures[name]["p50"] <= figures[name]["p99"]
        assert all(math.isfinite(value) for value in figures[name].values())
    assert figures["event_delay_ms"]["p50"] > 0
    clients = figures["clients"]
    assert clients["lost"] == 0, clients
    assert clients["served"] + clients["refused"] == _gateway.QUICK.rounds * _gateway.CLIENTS
    assert clients["served"] >= 32  # as many as may wait
    assert figures["gateway_mb"]["first"] > 10
    follow = figures["follow_up"]
    assert 0 < follow["prompt_tokens_ratio"] < 0.5
    assert follow["prompt_tokens"]["computed"] < follow["prompt_tokens"]["without_reuse"]
    assert follow["time_ratio"] > 0
    assert 0 < figures["page_kb"] <= 150
