"""How a conversion ends: exit codes as ``assistant`` has them (assistant/commands/__init__.py), errors as sentences.

Repeated here because the toolkits' venvs have none of what the daemon imports.
"""

import platform
import sys
from collections.abc import Callable

OK, FAILED, USAGE, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 69, 130

Say = Callable[[str], None]  # takes a line of progress


class Stopped(Exception):
    """A conversion cannot be done; the text is one sentence with the mend."""

    code = FAILED


class Refused(Stopped):
    """What was asked does not go together, or what was given cannot be read: nothing was begun."""

    code = USAGE


class Missing(Stopped):
    """The toolkit is not here."""

    code = UNAVAILABLE


def say(line: str) -> None:
    """Progress goes to stderr, so that what is printed at the end can be read by programs."""
    print(line, file=sys.stderr, flush=True)


def ended(name: str, work: Callable[[], int]) -> int:
    """Run it; returns the exit code, with the sentence on stderr where it stopped."""
    try:
        return work()
    except Stopped as error:
        print(f"{name}: {error}", file=sys.stderr)
        return error.code
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"{name}: {error.filename or 'writing'}: {error.strerror or error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def unfit(machine: str = "", version: tuple[int, int] = (0, 0)) -> str:
    """Why rknn-toolkit2 cannot be installed here; empty where it can. Wheels of 2.5.0: x86-64, Python up to 3.12."""
    machine, version = machine or platform.machine(), version if any(version) else sys.version_info[:2]
    if machine not in ("x86_64", "AMD64"):
        return f"rknn-toolkit2 is for x86-64 and this is {machine}; convert on a workstation"
    if not (3, 10) <= version <= (3, 12):
        said = f"{version[0]}.{version[1]}"
        return f"conversion needs Python 3.10 to 3.12 and this is {said}; say make PYTHON=python3.12 convert-check"
    return ""
