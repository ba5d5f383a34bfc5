"""Hold the bundled spoken conversation with the real processes, and show it as it happens.

Leaves turns.jsonl, a WAV of each answer and timeline.png. Exits with 1 if any turn was not heard or answered as the
scenario expects.
"""

import argparse
import sys
import time
from pathlib import Path

from msgspec import UNSET
from rich.console import Console
from rich.markup import escape

from assistant import paths, scenario
from assistant.commands import FAILED, OK, _settings, replay
from assistant.commands._record import Recorder
from assistant.core.bars import waterfall
from assistant.messages import LIVE, Heard, ReplyToken, TurnStarted
from assistant.outcome import Line
from assistant.player import Player
from assistant.wire import Received

BAR_WIDTH = 36


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="what it leaves (default demo-output)")
    parser.add_argument("--scenario", type=Path, default=None, help="another scenario than the bundled one")
    _settings.arguments(parser, None)


def run(asked: argparse.Namespace) -> int:
    from assistant.service import logs

    logs("warning", "demo")
    asked.set.insert(0, "log.level=warning")
    script = scenario.load(asked.scenario or paths.shipped("config") / "demo" / "scenario.toml")
    screen, recorder = Screen(Console(highlight=False, soft_wrap=True)), Recorder()

    def watch(received: Received) -> None:
        recorder.watch(received)
        screen.watch(received)

    player = Player(script, watch)
    began = time.monotonic()
    screen.say("[dim]starting microphone, camera, vision, dialogue, speaker and gateway, each its own process …[/]")
    with replay.daemon(asked, script, gateway=True) as one:
        for line in player.play(one):
            recorder.keep(line)
            screen.tell(line, replay.pictures(script).get(line.step))
    recorder.write(asked.out, replay.pictures(script))
    bad = [line for line in recorder.lines if not line.ok]
    for trouble in player.troubles:
        print(f"assistant: {trouble}", file=sys.stderr)
    screen.end(recorder.lines, asked.out, time.monotonic() - began)
    return FAILED if bad or player.troubles else OK


class Screen:
    """What the terminal shows. On a terminal the answer streams; elsewhere only whole lines are printed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._streaming = False

    def say(self, text: str, end: str = "\n") -> None:
        self._console.print(text, end=end)

    def watch(self, received: Received) -> None:
        message = received.message
        if getattr(getattr(message, "turn", None), "conversation", "") != LIVE:
            return
        match message:
            case Heard(text=text):
                self.say(f"\n[bold cyan]  you[/]  {escape(text)}")
            case TurnStarted(spoken=False, text=text):
                self.say(f"\n[bold cyan]  you[/]  {escape(text)} [dim](typed)[/]")
            case ReplyToken(text=text) if self._console.is_terminal:
                self.say(escape(text) if self._streaming else f"[bold green] pico[/]  {escape(text)}", end="")
                self._streaming = True

    def tell(self, line: Line, picture: Path | None) -> None:
        """The outcome of a turn, with its figures and a bar a stage."""
        if line.dropped is not UNSET:
            self.say(f"\n[bold yellow] none[/]  no turn: {escape(line.dropped)}")
        elif self._streaming:
            self.say("")
        else:
            self.say(f"[bold green] pico[/]  {escape(line.answer)}")
        self._streaming = False
        if line.dropped is UNSET:
            self.say(f"       [dim]turn {line.turn} · {escape(_seen(line, picture))} · {_tokens(line)}[/]")
            if line.finish_reason == "interrupted":
                self.say(f"       [yellow]interrupted; what was heard: {escape(line.spoken) or 'nothing'}[/]")
            for text in waterfall(_stages(line), BAR_WIDTH):
                self.say(f"       [blue]{escape(text)}[/]")
        if not line.ok:
            self.say(f"       [bold red]not as expected:[/] {escape(line.why)}")

    def end(self, lines: list[Line], out: Path, seconds: float) -> None:
        good = sum(line.ok for line in lines)
        color = "green" if good == len(lines) else "red"
        self.say(f"\n[bold {color}]{good} of {len(lines)} turns as expected[/] in {seconds:.0f} s")
        self.say(f"[dim]{escape(str(out))}/ holds turns.jsonl, answer-NN.wav (what was spoken) and timeline.png[/]")


def _seen(line: Line, picture: Path | None) -> str:
    if line.frame_age_ms is None:
        return "no picture"
    how = "new" if line.picture_fresh else "still as it was"
    name = picture.name if picture else "camera"
    return f"frame {line.frame_seq} ({name}, {how}), {line.frame_age_ms:.0f} ms old"


def _stages(line: Line) -> list[tuple[str, int, int]]:
    """From the end of the user's speech to the first sound, in ns; without what took no time (a picture verified)."""
    shown = [stage for stage in line.stages if stage[0] not in ("speech", "sound") and stage[2] > stage[1]]
    return [(name, round(begin * 1e6), round(end * 1e6)) for name, begin, end in shown]


def _tokens(line: Line) -> str:
    computed = line.prompt_tokens - line.cached_tokens
    return f"{computed} tokens computed, {line.cached_tokens} from the cache, {line.completion_tokens} generated"
