"""What the daemon makes of a report's settings."""

import json
from collections.abc import Mapping

from assistant.commands import main


def taken(settings: Mapping[str, object]) -> int:
    """The exit code of ``assistant config check`` with them."""
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    return main(["config", "check", "--profile", "camera-qa", *sets])
