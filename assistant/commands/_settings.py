"""What the commands that deal with settings share: the options that choose them, the sections, the engine check."""

import argparse
import difflib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from assistant import config, paths, tables
from assistant.config import Config, ConfigError, Layer, Settings
from assistant.journal import Format
from assistant.messages import SERVICES
from pipelines import engine


class Log(Settings, frozen=True, kw_only=True):
    """Section [log]."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Format = "text"  # json: one object a line, for programs that collect logs


def arguments(parser: argparse.ArgumentParser, default: str | None) -> None:
    """The options that choose settings; ``default`` is the profile that is taken when none is named."""
    told = f" (default {default})" if default else ""
    parser.add_argument("--profile", default=default, metavar="NAME|PATH", help=f"a profile by name or file{told}")
    parser.add_argument("--board", default="", help="a board file by name or path, below the profile")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one setting; may be repeated"
    )


def directories(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime", type=Path, default=None, help=f"directory of the sockets ({shown(paths.runtime())})"
    )
    parser.add_argument("--state", type=Path, default=None, help=f"what outlives a run ({shown(paths.state())})")


def shown(path: Path) -> str:
    """A path within a help text, where argparse takes a percent sign for its own."""
    return str(path).replace("%", "%%")


def sections() -> dict[str, type[Settings]]:
    """Every section that a settings file may have. Importing a service imports none of its model libraries."""
    from assistant.supervisor import Supervision

    services = {name: importlib.import_module(f"assistant.services.{name}").Settings for name in SERVICES}
    return {**services, "supervisor": Supervision, "log": Log}


def load(asked: argparse.Namespace, above: Sequence[Layer] = ()) -> Config:
    """All layers, those ``above`` all others, merged and checked down to the options of every engine. Raises
    ConfigError."""
    found = config.load(sections(), asked.profile or "", asked.board, asked.set, above)
    problems = [problem for name in SERVICES for problem in _engines(found, name)]
    if problems:
        raise ConfigError(problems[0])
    return found


def _engines(found: Config, section: str) -> list[str]:
    """What is wrong with the engines that a service's section names, and with the options of each."""
    named = (
        (found.written(f"{dotted}.{field}"), role, getattr(table, field))
        for dotted, table in tables.all_of(found.section(section, Settings), section)
        for field, role in getattr(type(table), "roles", {}).items()
    )
    problems = []
    for prefix, role, chosen in named:
        for name in {chosen.engine: None, **chosen.all_options}:
            if name == "auto":  # chosen when the service starts, among those whose tables follow here
                continue
            key = f"{prefix}.engine" if name == chosen.engine and name not in chosen.all_options else f"{prefix}.{name}"
            try:
                engine.options(role, name, chosen.all_options.get(name, {}))
            except engine.EngineError as error:
                problems.append(f"{_origin(found, key, prefix)}: {key}: {error}")
    return problems


def _origin(found: Config, key: str, prefix: str) -> str:
    """The file of a key; of the last key below it where the key itself is only a table."""
    below = [layer for dotted, layer in found.origin.items() if dotted == key or dotted.startswith(key + ".")]
    return (below or [found.origin.get(prefix, "default")])[-1]


def services(found: Config) -> tuple[str, ...]:
    """The services that the supervisor is to start. Raises ConfigError for one that there is not."""
    from assistant.supervisor import Supervision

    chosen = found.section("supervisor", Supervision).services
    for name in chosen:
        if name not in SERVICES:
            close = difflib.get_close_matches(name, SERVICES, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(SERVICES)}"
            origin = found.origin.get("supervisor.services", "default")
            raise ConfigError(f"{origin}: supervisor.services: there is no service {name!r}; {hint}")
    return chosen
