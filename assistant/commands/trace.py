"""Show where the time went in the last turns: each stage on one time axis, and what the silence was made of.

The turns are those that the daemon keeps in its state directory (the last 200, for as long as dialogue.retention says;
none with retention = "off"); with --follow each further turn is shown as it is over, kept or not.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console

from assistant import paths
from assistant.bus import Bus
from assistant.client import running
from assistant.commands import FAILED, OK, UNAVAILABLE, USAGE, Failure, _settings
from assistant.core.critical import critical
from assistant.core.ledger import Ledger
from assistant.core.turnfacts import KINDS
from assistant.history import boot_id
from assistant.messages import AudioOut, Heartbeat
from assistant.turnlog import FILE, Entry, read

SHOWN = 5
PATIENCE_S = 2.0  # without a heartbeat, until it is asked whether the daemon still runs
NONE_YET = (
    "there are no turns in {}: talk to the daemon first, or name its --state (under systemd /var/lib/assistant); "
    'with dialogue.retention = "off" nothing is kept, but --follow shows what comes'
)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("turns", nargs="?", type=int, default=SHOWN, metavar="N", help=f"how many ({SHOWN})")
    parser.add_argument("--last", action="store_true", help="the last one alone")
    parser.add_argument("--json", action="store_true", help="one JSON object a turn, with the parts of the silence")
    parser.add_argument("--png", type=Path, metavar="FILE", help="draw them into a picture as well")
    parser.add_argument("--follow", action="store_true", help="then show each further turn; Ctrl-C ends it")
    parser.add_argument(
        "--state", type=Path, default=None, help=f"the daemon's state directory ({_settings.shown(paths.state())})"
    )
    parser.add_argument(
        "--runtime", type=Path, default=None, help=f"of the daemon to follow ({_settings.shown(paths.runtime())})"
    )


def run(asked: argparse.Namespace) -> int:
    count = 1 if asked.last else asked.turns
    if count < 1:
        raise Failure(f"N is how many turns to show: 1 or more, not {count}", USAGE)
    coming = _followed(asked.runtime or paths.runtime()) if asked.follow else iter(())
    path = (asked.state or paths.state()) / FILE
    try:
        entries = read(path)[-count:]
    except OSError as error:
        raise Failure(f"{path} cannot be read ({error.strerror}); ask as the daemon's own user", FAILED) from error
    if not entries and not asked.follow:
        raise Failure(NONE_YET.format(path), FAILED)
    console = Console(highlight=False)
    for entry in entries:
        _tell(entry, asked.json, console)
    if asked.png is not None:
        _draw(asked.png, entries)
    for entry in coming:
        _tell(entry, asked.json, console)
    return OK


def _tell(entry: Entry, as_json: bool, console: Console) -> None:
    if as_json:
        parts = [{"name": part.name, "ms": part.ms} for part in critical(entry.record)]
        row = {**msgspec.to_builtins(entry), "parts": parts}
        del row["record"]["spoken_ms"]  # who has not asked for the sound does not know it
        print(msgspec.json.encode(row).decode(), flush=True)
        return
    from assistant.commands import _waterfall

    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.wall))
    for line in _waterfall.shown(entry.record, when, console.width):
        console.print(line, soft_wrap=not console.is_terminal)
    console.print()


def _draw(path: Path, entries: list[Entry]) -> None:
    from assistant.commands import _timeline
    from assistant.outcome import line_of

    lines = [line_of(entry.record, number) for number, entry in enumerate(entries, 1)]
    for number, line in enumerate(lines, 1):
        line.turn = number
    try:
        path.write_bytes(_timeline.draw(lines, {}, "edge-assistant: where the time goes"))
    except OSError as error:
        raise Failure(f"{path} cannot be written ({error.strerror})", USAGE) from error
    print(f"{path}: {len(lines)} turns", file=sys.stderr)


def _followed(runtime: Path) -> Iterator[Entry]:
    """Each turn of a running daemon that is over from now on. Raises Failure when there is none, or no longer."""
    if not running(runtime):
        raise Failure(f"no daemon runs in {runtime}; start one (assistant run) or name its --runtime", UNAVAILABLE)
    bus = Bus(runtime)
    # AudioOut only tells how long it sounded; asking for it would make the speaker publish all that it plays. Who has
    # had a heartbeat, which is asked for last, misses nothing any more.
    bus.listen(*(kind for kind in KINDS if kind is not AudioOut), Heartbeat)
    bus.wait_for(Heartbeat, PATIENCE_S)
    return _over(bus, runtime)


def _over(bus: Bus, runtime: Path) -> Iterator[Entry]:
    ledger, boot = Ledger(), boot_id()
    try:
        while True:
            received = bus.receive(PATIENCE_S)
            if received is None:
                if not running(runtime):
                    raise Failure("the daemon is gone", UNAVAILABLE)
                continue
            sent_at = received.stamp.sent_at
            done = ledger.fold(received.message, sent_at) + ledger.expire(sent_at)
            yield from (Entry(boot=boot, wall=time.time(), record=record) for record in done)
    finally:
        bus.close()
