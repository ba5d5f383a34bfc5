"""The commands of /ws: what each takes, and what it does. Those of linux-voice-assistant's peripherals are known."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from assistant.gateway import asking, commanding
from assistant.gateway.commanding import MuteBody, Name, PreferBody, Strict, Text, VolumeBody
from assistant.gateway.errors import Refusal
from assistant.gateway.routes import Gate
from assistant.gateway.talking import Begin
from assistant.messages import LIVE

MOST = 16  # commands of one client that are under way


class Nothing(Strict, frozen=True, kw_only=True):
    """No fields."""


class AskWish(Strict, frozen=True, kw_only=True):
    text: Text
    camera: str = ""
    conversation: Name = ""  # "live": the spoken one, whose answer is heard at the device; "": one's own


class ClearWish(Strict, frozen=True, kw_only=True):
    conversation: Name = ""  # "": one's own and the spoken one


class Command(NamedTuple):
    body: type[Any]
    run: Callable[[Gate, str, Any], Awaitable[Any]]  # gate, the client's own conversation, the body


async def _ask(gate: Gate, own: str, wish: AskWish) -> None:
    async for _ in asking.asked(gate, LIVE if wish.conversation == LIVE else own, wish.text, wish.camera):
        pass  # the events tell what comes of it


async def _stop(gate: Gate, own: str, wish: Nothing) -> None:
    if own in gate.asking:
        await commanding.interrupt(gate, own)
    await commanding.interrupt(gate, LIVE)


async def _clear(gate: Gate, own: str, wish: ClearWish) -> None:
    for name in (own, LIVE) if not wish.conversation else (LIVE if wish.conversation == LIVE else own,):
        await commanding.clear(gate, name)


async def _mute(gate: Gate, own: str, wish: MuteBody) -> None:
    await commanding.mute(gate, wish)


async def _volume(gate: Gate, own: str, wish: VolumeBody) -> None:
    await commanding.volume(gate, wish)


async def _prefer(gate: Gate, own: str, wish: PreferBody) -> None:
    await commanding.prefer(gate, wish)


async def _press(gate: Gate, own: str, wish: Nothing) -> None:
    await commanding.push_to_talk(gate, True)


async def _release(gate: Gate, own: str, wish: Nothing) -> None:
    await commanding.push_to_talk(gate, False)


COMMANDS: Mapping[str, Command] = {
    "ask": Command(AskWish, _ask),
    "start_listening": Command(Nothing, _press),
    "stop_listening": Command(Nothing, _release),
    "stop": Command(Nothing, _stop),
    "clear": Command(ClearWish, _clear),
    "mute": Command(MuteBody, _mute),
    "volume": Command(VolumeBody, _volume),
    "prefer": Command(PreferBody, _prefer),
}
TALK: Mapping[str, type[Any]] = {"talk_begin": Begin, "talk_end": Nothing, "talk_cancel": Nothing}
# As linux-voice-assistant's peripherals say it: docs/peripheral_api.md of OHF-Voice/linux-voice-assistant.
ALIASES: Mapping[str, tuple[str, dict[str, Any]]] = {
    "stop_pipeline": ("stop", {}),
    "mute_mic": ("mute", {"device": "microphone", "muted": True}),
    "unmute_mic": ("mute", {"device": "microphone", "muted": False}),
    "volume_up": ("volume", {"step": 1}),
    "volume_down": ("volume", {"step": -1}),
    "set_volume": ("volume", {}),
}


def understood(text: str) -> tuple[str, dict[str, Any]]:
    """The name of a command, and its fields: beside the name, or in ``data``. Raises Refusal."""
    try:
        told = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refusal(400, "invalid_json", f"That is not JSON: {error}.") from error
    if not isinstance(told, dict) or not isinstance(told.get("command"), str):
        raise Refusal(400, "no_command", 'A command is {"command": NAME, …}.')
    name, data = told.pop("command"), told.pop("data", {})
    if not isinstance(data, dict):
        raise Refusal(400, "invalid_field", "data must be an object.", "data")
    fields = {**data, **told}
    if name in ALIASES:
        name, given = ALIASES[name]
        if "volume" in fields:
            fields["level"] = fields.pop("volume")
        fields = {**given, **fields}
    return name, fields


def body(name: str, fields: dict[str, Any]) -> Any:
    """What a command takes. Raises Refusal."""
    kind = TALK.get(name) or (COMMANDS[name].body if name in COMMANDS else None)
    if kind is None:
        there = ", ".join([*COMMANDS, *TALK])
        raise Refusal(400, "unknown_command", f"There is no command {name[:40]!r}; there are: {there}.")
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise Refusal(400, "invalid_field", f"{name} does not take that: {error}.") from error
