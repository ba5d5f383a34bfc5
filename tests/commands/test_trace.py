"""``trace``: the last turns of a daemon, in the terminal, as JSON and as a picture; and those that come."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from assistant.client import Client, private
from assistant.commands import FAILED, OK, UNAVAILABLE, USAGE, Failure, main, trace
from assistant.commands._waterfall import shown
from assistant.core.turnfacts import Stage, TurnRecord
from assistant.messages import LIVE, Ask, Heartbeat, SpeakerIdle, Turn
from assistant.turnlog import FILE, Entry
from tests.core.test_critical import ASKED, record
from tests.processes import PATIENCE_S, ROOT

SHORT = "set the volume to forty percent"  # the answer is


@pytest.fixture(scope="module")
def daemon() -> Iterator[Client]:
    with private("demo", ["log.level=warning", "dialogue.picture=never"]) as runtime:
        client = Client(runtime)
        client.await_ready()
        yield client
        client.close()


def say(client: Client, text: str) -> Turn:
    """Ask in the spoken conversation, and hear the answer out."""
    turn = Turn(LIVE, time.monotonic_ns())
    client.bus.send(Ask(turn=turn, text=text), timeout_s=PATIENCE_S)
    assert client.bus.wait_for(SpeakerIdle, PATIENCE_S, lambda idle: idle.turn == turn) is not None
    return turn


def kept(client: Client, count: int) -> Path:
    """The state directory, once so many turns are kept there."""
    path = client.runtime / "state" / FILE
    while len(path.read_text().splitlines()) < count:
        assert client.bus.wait_for(Heartbeat, PATIENCE_S) is not None
    return path.parent


def follow(client: Client, *arguments: str) -> list[str]:
    command = [sys.executable, "-u", "-m", "assistant", "trace", "--follow", "--runtime", str(client.runtime)]
    return [*command, "--state", str(client.runtime / "state"), *arguments]


def test_the_turns_of_a_daemon_are_kept_shown_and_drawn(
    daemon: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    starts = [say(daemon, text).start for text in (SHORT, "what time is it")]
    state = kept(daemon, 2)
    picture = tmp_path / "turn.png"
    assert main(["trace", "2", "--json", "--state", str(state), "--png", str(picture)]) == OK
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["record"]["turn"]["start"] for row in rows] == starts
    for row in rows:
        first = row["record"]["timings_ms"]["first_audio"]
        assert sum(part["ms"] for part in row["parts"]) == pytest.approx(first, abs=1e-5)
        assert {"voice", "output", "sound"} <= {name for name, _, _ in row["record"]["stages"]}
    assert cv2.imread(str(picture)) is not None
    assert main(["trace", "--last", "--state", str(state)]) == OK
    said = capsys.readouterr().out
    assert "what time is it" in said
    assert SHORT not in said
    assert "of silence" in said


def test_further_turns_are_shown_as_they_are_over(daemon: Client) -> None:
    say(daemon, SHORT)
    with subprocess.Popen(follow(daemon, "--last", "--json"), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["record"]["heard"] == SHORT
            turn = say(daemon, "what time is it")
            row = json.loads(process.stdout.readline())
            assert (row["record"]["heard"], row["record"]["turn"]["start"]) == ("what time is it", turn.start)
        finally:
            process.terminate()


def test_with_retention_off_nothing_is_kept(tmp_path: Path) -> None:
    with private("demo", ["log.level=warning", "dialogue.retention=off"]) as runtime:
        client = Client(runtime)
        client.await_ready()
        say(client, SHORT)
        say(client, SHORT)  # by now the first one would have been written
        client.close()
        assert not (runtime / "state" / FILE).exists()
        with pytest.raises(Failure, match=r'dialogue\.retention = "off"') as refused:
            trace.run(asked("--state", str(runtime / "state")))
    assert refused.value.code == FAILED


def asked(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    trace.arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "text", "code"),
    [
        (("0",), "1 or more, not 0", USAGE),
        ((), "there are no turns in", FAILED),
        (("--follow",), "no daemon runs in", UNAVAILABLE),
    ],
)
def test_refusals(arguments: tuple[str, ...], text: str, code: int, tmp_path: Path) -> None:
    with pytest.raises(Failure, match=text) as refused:
        trace.run(asked(*arguments, "--state", str(tmp_path), "--runtime", str(tmp_path)))
    assert refused.value.code == code


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(Failure, match=r"turns\.jsonl cannot be read"):
        trace.run(asked("--state", str(tmp_path)))


def test_a_picture_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"none/turn\.png cannot be written"):
        trace._draw(tmp_path / "none" / "turn.png", [Entry(boot="x", wall=0.0, record=turn())])


def turn() -> TurnRecord:
    return record(
        1000,
        ("speech", -2000, 0),
        ("encode ahead", -1900, 100),
        ("endpoint", 0, 500),
        ("asr", 500, 510),
        ("prefill waits", 510, 560),
        ("prefill", 560, 700),
        ("something new", 700, 710),
        ("generate", 710, 1400),
        ("voice", 800, 950),
        ("output", 950, 1000),
        ("sound", 1000, 9000),
    )


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_each_stage_stands_in_its_lane_on_one_axis(width: int) -> None:
    """However narrow the terminal is; the silence has no hole and ends where the sound begins."""
    lines = [line.plain for line in shown(turn(), "now", width)]
    stages = turn().stages
    label = max(len(name) for name, *_ in stages)
    lanes = {line[2 : 2 + label].strip(): line[3 + label :] for line in lines}
    assert {name for name, *_ in stages} <= set(lanes)
    silence = lanes["silence"]
    first, after = silence.index("▒"), silence.rindex("▒") + 1
    assert set(silence[first:after]) == {"▒"}
    assert abs(lanes["sound"].index("█") - after) <= 1 if "█" in lanes["sound"] else True
    assert abs(lanes["endpoint"].index("█") - first) <= 1 if "█" in lanes["endpoint"] else True
    assert "▸" in lanes["sound"]  # it goes on
    assert lines[-1].endswith("= 1.00 s of silence")


def test_waste_and_what_else_a_record_may_tell_is_shown() -> None:
    told = TurnRecord(
        turn=Turn(LIVE, ASKED), wasted_ms=212.4, wasted_npu_ms=180.2, detail="cut", finish_reason="interrupted"
    )
    assert "begun ahead in vain: 212 ms (180 ms of the NPU) · cut" in shown(told, "now", 200)[1].plain
    empty: tuple[Stage, ...] = (("asr", ASKED, ASKED),)
    assert len(shown(TurnRecord(turn=Turn(LIVE, 1), asked_at=ASKED, stages=empty), "now", 80)) == 2
