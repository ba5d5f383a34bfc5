"""Scenario files: what the camera shows, what is said, typed, pressed or killed, and what is expected of it. Pure.

Regular expressions are searched for anywhere in the text (``re.search``), case does not matter. Paths are relative to
the scenario's file; ``{here}`` in a setting is its folder.
"""

import difflib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]
Device = Literal["camera", "microphone", "speaker"]
TURNS = ("hear", "ask", "press", "release")  # a step with one of these is about a turn
EXPECTATIONS = ("expect", "expect_heard", "expect_dropped")
FILES = ("camera", "hear")


class ScenarioError(Exception):
    """A scenario cannot be played; the text names the file, the step, the key and the mend."""


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step. What is set is done in the order of the fields; then the step waits for the turn that it opened."""

    at_ms: Milliseconds | None = None  # begin this long after the step before began, without waiting for its end
    camera: Path | None = None  # a picture file: the camera shows it from now on
    mute: Device | None = None
    unmute: Device | None = None
    clear: bool = False  # forget the conversation
    kill: Literal["microphone", "camera", "vision", "dialogue", "speaker"] | None = None  # and wait until it is back
    press: bool = False  # the button goes down
    hear: Path | None = None  # a WAV file, played into the microphone
    ask: str | None = None  # typed
    release: bool = False  # the button comes up, after the last sample of ``hear``
    interrupt_after_ms: Milliseconds | None = None  # after the reply's first sound
    wait_ms: Milliseconds = 0  # after everything else
    expect: str | None = None  # of the answer
    expect_heard: str | None = None  # of what was understood
    expect_dropped: str | None = None  # of why no turn was opened


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    steps: list[Step]
    profile: str = ""
    language: str = ""  # ISO 639-1: what is spoken, where not the profile's language
    echo_db: Annotated[float, msgspec.Meta(le=0)] | None = None  # the microphone hears what is played, so much softer …
    echo_ms: Milliseconds = 120  # … and so much later
    settings: dict[str, Any] = {}  # like --set: {"dialogue.history" = "none"}, or tables

    def sets(self) -> list[str]:
        """The settings as texts for --set."""
        spoken = {"dialogue.language": self.language} if self.language else {}
        rows = [*spoken.items(), *_flat(self.settings, "")]
        return [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in rows]


def load(path: Path) -> Scenario:
    """Read and check a scenario. Raises ScenarioError."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: not valid TOML: {error}") from error
    return parse(values, path)


def parse(values: Mapping[str, Any], path: Path) -> Scenario:
    """A scenario from plain values; ``path`` is its file, for errors and for what is relative to it."""
    here = path.resolve().parent
    _known(values, Scenario.__struct_fields__, str(path))
    steps = values.get("steps")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        raise ScenarioError(f"{path}: there are no steps; write at least one [[steps]] table")
    read = [_step(step, here, f"{path}: step {number}") for number, step in enumerate(steps, 1)]
    rest = {key: _placed(value, here) for key, value in values.items() if key != "steps"}
    profile = rest.get("profile", "")
    if isinstance(profile, str) and profile.endswith(".toml"):
        rest["profile"] = str(here / profile)
    try:
        return msgspec.convert({**rest, "steps": read}, Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{path}: {error}") from error


def _step(values: dict[str, Any], here: Path, place: str) -> Step:
    _known(values, Step.__struct_fields__, place)
    try:
        step = msgspec.convert(values, Step, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{place}: {error}") from error
    found: dict[str, Path] = {}
    for key in FILES:
        name: Path | None = getattr(step, key)
        if name is not None:
            found[key] = here / name
            if not _is_file(found[key]):
                raise ScenarioError(f"{place}: {key}: there is no file {found[key]}")
    for key in EXPECTATIONS:
        pattern = getattr(step, key)
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ScenarioError(f"{place}: {key}: {pattern!r} is no regular expression: {error}") from error
    _sensible(step, place)
    return msgspec.structs.replace(step, **found)


def _sensible(step: Step, place: str) -> None:
    if step.hear is not None and step.ask is not None:
        raise ScenarioError(f"{place}: hear and ask are two turns; make them two steps")
    if any(getattr(step, key) for key in TURNS):
        return
    for key in (*EXPECTATIONS, "interrupt_after_ms"):
        if getattr(step, key) is not None:
            raise ScenarioError(f"{place}: {key} needs a turn in the same step: {', '.join(TURNS)}")
    if step == Step(at_ms=step.at_ms):
        raise ScenarioError(f"{place}: there is nothing to do in it")


def _known(values: Mapping[str, Any], valid: tuple[str, ...], place: str) -> None:
    for key in values:
        if key not in valid:
            close = difflib.get_close_matches(key, valid, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"valid here: {', '.join(valid)}"
            raise ScenarioError(f"{place}: unknown key {key!r}; {hint}")


def _path(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    raise ValueError("expected the name of a file")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _placed(value: Any, here: Path) -> Any:
    if isinstance(value, dict):
        return {key: _placed(inner, here) for key, inner in value.items()}
    return value.replace("{here}", str(here)) if isinstance(value, str) else value


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def holds(pattern: str | None, text: str) -> bool:
    """Is the pattern found somewhere in the text? No pattern always holds."""
    return pattern is None or re.search(pattern, text, re.IGNORECASE) is not None
