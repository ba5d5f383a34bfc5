"""``python -m tests.supervising RUNTIME STATE JSON``: a supervisor whose services are tests.posing.

The JSON object holds the sections; ``supervisor`` is the supervisor's own.
"""

import sys
from pathlib import Path

import msgspec

from assistant.config import plain
from assistant.lock import Held
from assistant.service import logs
from assistant.supervisor import Supervision, Supervisor


def main(runtime: str, state: str, sections: str) -> int:
    logs("info", "supervisor")
    resolved = msgspec.json.decode(sections, type=dict[str, dict[str, object]])
    settings = msgspec.convert(resolved.get("supervisor", {}), Supervision)
    resolved["supervisor"] = plain(settings)
    modules = dict.fromkeys(settings.services, "tests.posing")
    supervisor = Supervisor(
        settings, resolved, Path(runtime), Path(state), lambda text: print(text, file=sys.stderr, flush=True), modules
    )
    try:
        return supervisor.run()
    except Held as error:
        print(error, file=sys.stderr)
        return 69


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
