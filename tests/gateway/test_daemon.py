"""/api/v1 with the daemon of the demo: what is asked is answered, what is told is confirmed, what cannot be is said."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from assistant.client import Client, private
from assistant.messages import LIVE, Ask, Heartbeat, ReplyEnded, Speaking, Turn, TurnStarted
from tests.gateway.door import Answer, Door
from tests.processes import PATIENCE_S

SETS = ["log.level=warning", "gateway.limits.requests_per_s=1e6", "gateway.limits.burst=1000000"]
SERVER = ["dialogue.llm.openai.base_url='http://user:hush@192.0.2.1/v1'", "dialogue.llm.openai.model=m"]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with private("demo", [*SETS, *SERVER], gateway=True) as runtime:
        client = Client(runtime)
        client.await_ready()
        yield client
        client.close()


@pytest.fixture(scope="module")
def door(client: Client) -> Door:
    told = client.bus.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.detail.startswith("http"))
    assert told is not None
    return Door(told.detail, Path("/nowhere"), client.runtime)


def post(door: Door, path: str, **body: Any) -> Answer:
    return door.ask("POST", f"/api/v1/{path}", body)


def get(door: Door, path: str) -> Answer:
    return door.ask("GET", f"/api/v1/{path}")


# --- asking ---


def test_a_question_is_answered_with_its_picture(door: Door) -> None:
    told = post(door, "ask", text="what color is the ball").json
    assert (told["text"], told["reason"]) == ("The ball is red.", "stop")
    assert told["usage"]["completion_tokens"] > 0
    assert isinstance(told["turn"]["start"], str)
    small = door.ask("GET", told["picture"]["url"])
    assert (small.status, small.headers["content-type"]) == (200, "image/jpeg")
    picture = cv2.imdecode(np.frombuffer(small.body, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert max(picture.shape) <= 640


def test_a_conversation_goes_on_and_another_knows_nothing_of_it(door: Door) -> None:
    post(door, "ask", text="what color is the ball", conversation="a")
    assert "blue" in post(door, "ask", text="and the cube", conversation="a").json["text"]
    assert post(door, "clear", conversation="a").json == {"conversation": "api-a"}


def test_it_is_streamed_as_events(door: Door) -> None:
    streamed = post(door, "ask", text="what color is the ball", stream=True)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    lines = streamed.body.decode().replace("\r\n", "\n")
    names = [line.removeprefix("event: ") for line in lines.splitlines() if line.startswith("event: ")]
    assert names[0] == "turn_started"
    assert {"picture", "token", "reply"} <= set(names)
    data = [json.loads(line.removeprefix("data: ")) for line in lines.splitlines() if line.startswith("data: ")]
    tokens = "".join(one["text"] for name, one in zip(names, data, strict=True) if name == "token")
    assert tokens == "The ball is red."


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("ask", {}, 400, "invalid_field"),
        ("ask", {"text": ""}, 400, "invalid_field"),
        ("ask", {"text": "x" * 8001}, 400, "invalid_field"),
        ("ask", {"text": "x", "conversation": "../x"}, 400, "invalid_field"),
        ("ask", {"text": "x", "camera": "door"}, 404, "unknown_camera"),
        ("ask", {"text": "x", "camera": "door", "stream": True}, 404, "unknown_camera"),
        ("say", {"text": "x", "language": "english"}, 400, "invalid_field"),
        ("mute", {"device": "door", "muted": True}, 400, "invalid_field"),
        ("mute", {"device": "camera", "muted": "yes"}, 400, "invalid_field"),
        ("volume", {}, 400, "invalid_field"),
        ("volume", {"level": 2}, 400, "invalid_field"),
        ("volume", {"level": 0.5, "step": 1}, 400, "invalid_field"),
        ("prefer", {}, 400, "invalid_field"),
        ("prefer", {"persona": "pirate"}, 400, "invalid_field"),
    ],
)
def test_what_cannot_be_done_is_said(door: Door, path: str, body: dict[str, Any], status: int, code: str) -> None:
    refused = post(door, path, **body)
    assert (refused.status, refused.code) == (status, code)
    assert refused.json["error"]["message"].endswith(".")


@pytest.mark.parametrize("path", ["stream.mjpg?fps=0", "stream.mjpg?fps=x", "turns?limit=0", "presets?language=xx"])
def test_a_wrong_query_is_refused(door: Door, path: str) -> None:
    assert (get(door, path).status, get(door, path).code) == (400, "invalid_query")


def test_who_hangs_up_is_not_answered(door: Door, client: Client) -> None:
    client.bus.listen(TurnStarted, ReplyEnded)
    body = json.dumps({"text": "what do you see", "conversation": "gone"}).encode()
    head = f"POST /api/v1/ask HTTP/1.1\r\nHost: 127.0.0.1:{door.port}\r\nContent-Length: {len(body)}\r\n\r\n"
    for cut in (len(head) // 2, len(head), len(head) + len(body) // 2):  # before there is a question
        with door.connect() as connection:
            connection.sendall((head.encode() + body)[:cut])
    with door.connect() as connection:
        connection.sendall(head.encode() + body)
        started = client.bus.wait_for(TurnStarted, PATIENCE_S, lambda told: told.turn.conversation == "api-gone")
        assert started is not None
    ended = client.bus.wait_for(ReplyEnded, PATIENCE_S, lambda told: told.turn == started.turn)
    assert ended is not None  # interrupted, unless the little model was quicker
    assert get(door, "state").status == 200
    assert post(door, "ask", text="hello").json["reason"] == "stop"


# --- telling ---


def test_what_is_said_sounds_at_the_device(door: Door, client: Client) -> None:
    client.bus.listen(Speaking)
    turn = post(door, "say", text="Dinner is ready.", language="en").json["turn"]
    assert turn["conversation"] == LIVE
    sounded = client.bus.wait_for(Speaking, PATIENCE_S, lambda told: str(told.turn.start) == turn["start"])
    assert sounded is not None
    record = turn_of(door, turn["start"])
    assert (record["answer"], record["finish_reason"]) == ("Dinner is ready.", "command")


def turn_of(door: Door, start: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while (told := get(door, f"turns/{start}")).status == 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # it is still being spoken
    return told.json


def test_a_reply_is_interrupted(door: Door, client: Client) -> None:
    client.bus.listen(Speaking)
    turn = Turn(LIVE, time.monotonic_ns())
    client.bus.send(Ask(turn=turn, text="what do you see"))
    assert client.bus.wait_for(Speaking, PATIENCE_S, lambda told: told.turn == turn) is not None
    assert post(door, "interrupt").json == {"interrupted": True}
    assert turn_of(door, str(turn.start))["finish_reason"] == "interrupted"
    assert post(door, "interrupt").json == {"interrupted": False}


@pytest.mark.parametrize("device", ["microphone", "camera", "speaker"])
def test_a_device_is_muted_and_heard_again(door: Door, device: str) -> None:
    for muted in (True, True, False, False):
        assert post(door, "mute", device=device, muted=muted).json == {"device": device, "muted": muted}
        now = get(door, "state").json
        states = now["camera"]["main"]["state"] == "muted" if device == "camera" else now[device]["muted"]
        assert states == muted


def test_a_muted_camera_shows_nothing(door: Door) -> None:
    post(door, "mute", device="camera", muted=True)
    for path in ("frame.jpg", "stream.mjpg"):
        refused = get(door, path)
        assert (refused.status, refused.code) == (409, "camera_muted")
    post(door, "mute", device="camera", muted=False)
    assert get(door, "frame.jpg").status == 200


def test_a_stream_ends_when_its_camera_is_muted(door: Door) -> None:
    with ThreadPoolExecutor() as pool:
        watching = pool.submit(get, door, "stream.mjpg?fps=15")
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline and not watching.done():
            time.sleep(0.05)
        post(door, "mute", device="camera", muted=True)
        seen = watching.result(PATIENCE_S)
    post(door, "mute", device="camera", muted=False)
    assert seen.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
    assert seen.body.count(b"--frame\r\n") >= 1
    assert b"\xff\xd8\xff" in seen.body


def test_a_picture_that_is_gone_and_a_camera_that_is_not_are_said(door: Door) -> None:
    assert get(door, "frame.jpg?camera=door").code == "unknown_camera"
    assert get(door, "frame.jpg?picture=main@1").code == "no_picture"


def test_volume_and_preferences(door: Door) -> None:
    assert post(door, "volume", level=0.5).json == {"volume": 0.5, "muted": False}
    assert post(door, "volume", step=-1).json["volume"] < 0.5
    assert post(door, "prefer", language="zh", persona="home").json == {
        "persona": "home",
        "language": "zh",
        "picture": "fresh",
    }
    assert get(door, "presets").json["language"] == "zh"
    post(door, "prefer", language="en", persona="plain")
    post(door, "volume", level=1)


# --- what it knows ---


def test_turns_keep_the_words_of_the_spoken_conversation_only(door: Door) -> None:
    post(door, "ask", text="what color is the ball", conversation="quiet")
    last = get(door, "turns?limit=1").json["turns"][0]
    assert (last["turn"]["conversation"], last["heard"], last["answer"]) == ("api-quiet", "", "")
    assert last["timings_ms"]["decode"] > 0
    assert last["wall"].startswith("20")
    assert get(door, "turns/7").code == get(door, "turns/x").code == "no_turn"


def test_clearing_takes_turns_and_pictures(door: Door) -> None:
    told = post(door, "ask", text="what do you see", conversation=LIVE).json
    turn_of(door, told["turn"]["start"])
    post(door, "clear")
    assert LIVE not in [one["turn"]["conversation"] for one in get(door, "turns?limit=200").json["turns"]]
    assert door.ask("GET", told["picture"]["url"]).code == "no_picture"


def test_health_has_the_doctors_words(door: Door) -> None:
    told = get(door, "health").json
    assert told["services"]["dialogue"]["state"] == "ready"
    assert {"engines", "models"} & {check["check"] for check in told["checks"]}
    assert get(door, "health?language=zh").json["language"] == "zh"


def test_the_settings_hide_what_is_secret(door: Door) -> None:
    told = get(door, "config")
    assert told.json["dialogue"]["llm"]["openai"]["base_url"] == "http://***@192.0.2.1/v1"
    assert b"hush" not in told.body


# --- many, and when something dies ---


def test_fifty_ask_and_look_at_once(door: Door) -> None:
    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(post, door, "ask", text="what color is the ball") for _ in range(25)]
        looked = [pool.submit(get, door, "frame.jpg") for _ in range(25)]
        assert [one.result().json["text"] for one in asked] == ["The ball is red."] * 25
        assert {one.result().status for one in looked} == {200}


def test_a_dialogue_that_dies_over_a_question_is_said(door: Door, client: Client) -> None:
    pid = client.pid("dialogue")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.append(post(door, "ask", text="what do you see")))
    asking.start()
    asking.join(0.5)
    os.kill(pid, signal.SIGKILL)
    asking.join(PATIENCE_S)
    assert (answers[0].status, answers[0].code) in ((503, "lost"), (503, "unreachable"))
    deadline = time.monotonic() + PATIENCE_S
    while (again := post(door, "ask", text="hello")).status != 200:
        assert time.monotonic() < deadline, again
    assert again.json["reason"] == "stop"


def test_the_gateway_may_die_in_the_middle_of_a_spoken_turn(door: Door, client: Client) -> None:
    """The last test of this file: the next gateway has another port."""
    client.bus.listen(Speaking, ReplyEnded)
    turn = Turn(LIVE, time.monotonic_ns())
    client.bus.send(Ask(turn=turn, text="what do you see"))
    pid = client.pid("gateway")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    ended = client.bus.wait_for(ReplyEnded, PATIENCE_S, lambda told: told.turn == turn)
    assert ended is not None
    assert ended.reason == "stop"
    reborn = client.bus.wait_for(
        Heartbeat, PATIENCE_S, lambda beat: beat.detail.startswith("http") and beat.figures["pid"] != pid
    )
    assert reborn is not None
    assert get(Door(reborn.detail, Path("/nowhere"), client.runtime), "state").status == 200
