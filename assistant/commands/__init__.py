"""The command line: one file a command. ``assistant COMMAND --help`` explains each.

A command is a module with ``arguments(parser)`` and ``run(asked) -> exit code``; its docstring is its description. Only
the chosen one is imported, and a command imports only what it needs, so that ``assistant --help`` is instant.
"""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from assistant.config import ConfigError
from assistant.lock import Held
from assistant.scenario import ScenarioError
from assistant.wire import BusError
from pipelines.audio import AudioError
from pipelines.engine import EngineError

OK, FAILED, USAGE, UNAVAILABLE, SETTINGS, INTERRUPTED = 0, 1, 2, 69, 78, 130

# What a command could not do, told in one sentence; anything else is a fault of ours and keeps its traceback.
FAILURES: dict[type[Exception], int] = {
    ConfigError: SETTINGS,
    EngineError: SETTINGS,
    ScenarioError: USAGE,
    AudioError: USAGE,
    BusError: UNAVAILABLE,
    Held: UNAVAILABLE,
}

EXITS = """\
exit codes:
  0    done, every expectation held
  1    a turn failed, an expectation did not hold, or a service died too often; doctor: warnings, no failure
  2    the command line or a scenario is not right; doctor: failures
  69   no daemon or server can be reached, or it cannot be started
  78   the settings are not in order
  130  interrupted with Ctrl-C"""


class Failure(Exception):
    """A command cannot do what was asked; the text is one sentence with the mend."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Command(NamedTuple):
    help: str
    example: str


COMMANDS: dict[str, Command] = {
    "run": Command("start the daemon in the foreground", "assistant run --profile camera-qa"),
    "demo": Command("hold the bundled spoken conversation and show it", "assistant demo --out demo-output"),
    "chat": Command("talk to it with the keyboard", "assistant chat --profile demo"),
    "ask": Command("ask one question", 'assistant ask "what colour is the cube" --image desk.png'),
    "replay": Command("run a scenario, one JSON line a turn", "assistant replay scenario.toml --json"),
    "tap": Command("show live what crosses the bus", "assistant tap Heard ReplyEnded"),
    "trace": Command("show where the time went in the last turns", "assistant trace --last --png turn.png"),
    "bench": Command("measure this machine: the daemon itself, or models of true size", "assistant bench cpu"),
    "probe": Command("try what a Rockchip board does, once", "assistant probe --model m.rkllm --json > probe.json"),
    "devices": Command("list or test microphones, speakers and cameras", "assistant devices --test"),
    "doctor": Command("say what is wrong with this machine, and the mend", "assistant doctor --profile camera-qa"),
    "models": Command("get models and see what is here", "assistant models pull cpu-en"),
    "systemd": Command("let systemd run the daemon, from boot on", "assistant systemd install --profile camera-qa"),
    "gateway": Command("reach the daemon with a browser or a phone", "assistant gateway token"),
    "config": Command("check or show the settings", "assistant config show --profile demo"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(overview())
        return OK if given else USAGE
    if given[0] not in COMMANDS:
        close = difflib.get_close_matches(given[0], COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(COMMANDS)}"
        return complain(f"there is no command {given[0]!r}; {hint}", USAGE)
    module = importlib.import_module(f"assistant.commands.{given[0]}")
    parser = argparse.ArgumentParser(
        prog=f"assistant {given[0]}",
        description=module.__doc__,
        epilog=f"example:\n  {COMMANDS[given[0]].example}\n\n{EXITS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.arguments(parser)
    asked = parser.parse_args(given[1:])
    try:
        code: int = module.run(asked)
        sys.stdout.flush()  # here, where a reader that left can still be noticed
    except Failure as error:
        return complain(str(error), error.code)
    except tuple(FAILURES) as error:
        return complain(str(error), next(code for kind, code in FAILURES.items() if isinstance(error, kind)))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output left (``| head``)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def overview() -> str:
    lines = ["usage: assistant COMMAND [options]", "", "Ask aloud about what the camera sees; hear the answer.", ""]
    width = max(len(name) for name in COMMANDS)
    for name, command in COMMANDS.items():
        lines += [f"  {name:<{width}}  {command.help}", f"  {'':<{width}}    {command.example}"]
    return "\n".join([*lines, "", "assistant COMMAND --help tells more about each.", "", EXITS])


def complain(text: str, code: int) -> int:
    print(f"assistant: {text}", file=sys.stderr)
    return code
