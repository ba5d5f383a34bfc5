"""Start the daemon of a profile in the foreground: every service a process of its own, until Ctrl-C or SIGTERM."""

import argparse
import shutil
import sys

import msgspec

from assistant import paths
from assistant.commands import SETTINGS, UNAVAILABLE, USAGE, Failure, _settings, _simulated
from assistant.config import ConfigError
from assistant.lock import Held
from assistant.messages import SERVICES
from assistant.notify import Notifier
from pipelines.engine import EngineError


def arguments(parser: argparse.ArgumentParser) -> None:
    _settings.arguments(parser, "camera-qa")
    _settings.directories(parser)
    _simulated.arguments(parser)
    parser.add_argument(
        "--without", action="append", default=[], metavar="SERVICE", help="leave a service out; may be repeated"
    )
    # For daemons that a command starts for itself: whatever becomes of that command, nothing of it stays.
    parser.add_argument("--ephemeral", action="store_true", help=argparse.SUPPRESS)


def run(asked: argparse.Namespace) -> int:
    if asked.ephemeral and not (asked.runtime and asked.state):
        raise Failure("--ephemeral removes the directories of --runtime and --state; name both", USAGE)
    try:
        return _supervise(asked)
    except (ConfigError, EngineError, Held) as error:
        if not asked.ephemeral:
            raise
        Notifier().tell(STATUS=f"failed: {error}")  # the command that started us tells it
        return UNAVAILABLE if isinstance(error, Held) else SETTINGS
    finally:
        if asked.ephemeral:
            shutil.rmtree(asked.runtime, ignore_errors=True)
            shutil.rmtree(asked.state, ignore_errors=True)


def _supervise(asked: argparse.Namespace) -> int:
    from assistant.service import logs
    from assistant.supervisor import Supervision, Supervisor

    runtime = asked.runtime or paths.runtime()
    with _simulated.settings(asked, runtime) as found:
        _settings.services(found)
        unknown = [name for name in asked.without if name not in SERVICES]
        if unknown:
            raise Failure(f"--without {unknown[0]}: there is no such service; there are: {', '.join(SERVICES)}", USAGE)
        log = found.section("log", _settings.Log)
        logs(log.level, "supervisor", log.format)
        if not asked.ephemeral:
            _simulated.tell(asked)
        resolved, supervision = found.resolved(), found.section("supervisor", Supervision)
        chosen = tuple(name for name in supervision.services if name not in asked.without)
        resolved["supervisor"]["services"] = chosen
        return Supervisor(
            msgspec.structs.replace(supervision, services=chosen),
            resolved,
            runtime,
            asked.state or paths.state(),
            say=(lambda _: None) if asked.ephemeral else (lambda text: print(text, file=sys.stderr, flush=True)),
        ).run()
