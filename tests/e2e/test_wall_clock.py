"""The wall clock jumps under a running daemon: what is measured, remembered and ordered goes by the monotonic one."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.client import Client, private
from assistant.core.turnfacts import TurnRecord
from assistant.turnlog import FILE, read
from tests.conftest import need
from tests.e2e.test_kills import answer, wait_until_reborn

HOUR_S = 3600


class Clock:
    """The wall clock of whatever is started from here on, by libfaketime; the monotonic one stays as it is."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        if not found:
            need("faketime")
        self._file = folder / "clock"
        self.set(0)
        patch.setenv("LD_PRELOAD", str(found[0]))
        patch.setenv("FAKETIME_TIMESTAMP_FILE", str(self._file))
        patch.setenv("FAKETIME_NO_CACHE", "1")
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")

    def set(self, offset_s: int) -> None:
        half = self._file.with_suffix(".half")
        half.write_text(f"{offset_s:+d}\n")
        half.replace(self._file)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clock]:
    with pytest.MonkeyPatch.context() as patch:
        yield Clock(tmp_path_factory.mktemp("clock"), patch)


@pytest.fixture(scope="module")
def client(clock: Clock) -> Iterator[Client]:
    with private("demo", ["log.level=warning"]) as runtime:
        client = Client(runtime)
        yield client
        client.close()


@pytest.mark.parametrize("jump_s", [-HOUR_S, HOUR_S // 4])
def test_a_wall_clock_that_jumps_disturbs_no_conversation(client: Client, clock: Clock, jump_s: int) -> None:
    clock.set(0)
    client.clear()
    told = answer(client, "what time is it").text
    first = answer(client, "what does the gauge read")
    assert first.reason == "stop"
    clock.set(jump_s)
    assert answer(client, "what time is it").text != told  # so it is another one, for the daemon
    after = answer(client, "and the lamp")
    assert after.reason == "stop"
    assert after.usage.prompt_tokens > first.usage.prompt_tokens  # it remembers
    assert after.usage.cached_tokens > 0
    assert 0 < after.usage.prefill_ms < 60_000
    pid = client.pid("dialogue")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)  # its successor reads a conversation of another hour
    wait_until_reborn(client, "dialogue", pid)
    again = answer(client, "and the gauge")
    assert again.reason == "stop"
    assert again.usage.prompt_tokens > after.usage.prompt_tokens


def test_records_keep_their_order_and_their_lengths(client: Client, clock: Clock) -> None:
    clock.set(0)
    client.clear()
    offsets = (0, -HOUR_S, 0, -2 * HOUR_S)
    for offset in offsets:
        clock.set(offset)
        assert answer(client, "is the lamp on").reason == "stop"
    deadline = time.monotonic() + 20
    kept: list[TurnRecord] = []
    while len(kept) < len(offsets):
        assert time.monotonic() < deadline, kept
        client.bus.receive(0.05)
        kept = [
            entry.record for entry in read(client.runtime / "state" / FILE) if entry.record.heard == "is the lamp on"
        ]
    starts = [record.turn.start for record in kept]
    assert starts == sorted(starts)
    for record in kept:
        assert all(length is None or 0 <= length < 60_000 for length in record.timings_ms.values()), record
        assert all(begin <= end for _, begin, end in record.stages)
