"""A whole daemon with its gateway, for tests that come through the front door."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from assistant.client import Client, private
from assistant.messages import Heartbeat
from tests.gateway.door import Answer, Door
from tests.processes import PATIENCE_S

TALKER = "tests.services.talker:Engine"


class House(NamedTuple):
    url: str
    runtime: Path
    client: Client

    @property
    def door(self) -> Door:
        return Door(self.url, self.runtime / "none", self.runtime)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.door.ask("POST", path, body, **headers)


@contextmanager
def running(*sets: str) -> Iterator[House]:
    """The demo's daemon with these settings."""
    with private("demo", ["log.level=warning", *sets], gateway=True) as runtime:
        client = Client(runtime)
        try:
            told = client.bus.wait_for(Heartbeat, PATIENCE_S, lambda beat: beat.detail.startswith("http"))
            assert told is not None
            yield House(told.detail, runtime, client)
        finally:
            client.close()


class Script:
    """What the scripted model says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "script.json"
        self.say("The ball is red.")

    def say(self, *pieces: str) -> None:
        """From the next reply on. {wait} waits for ``go_on``."""
        self.path.with_suffix(".go").unlink(missing_ok=True)
        self.path.write_text(json.dumps(pieces))

    def go_on(self) -> None:
        self.path.with_suffix(".go").touch()

    def settings(self, **more: Any) -> list[str]:
        """That make a daemon think with it."""
        engine = {"engine": TALKER, TALKER: {"script": str(self.path), **more}}
        return [f"dialogue.llm={_toml(engine)}"]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)
