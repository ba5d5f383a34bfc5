"""Obeys the commands that need no language model: what is said to them, and what they change."""

import time
from collections.abc import Callable
from typing import Literal

from assistant.core import commands, lane, loudness, personas
from assistant.core.commands import Command
from assistant.messages import Heartbeat, Message, Mute, SpeakerState, Volume
from assistant.wire import Received

STEPS: dict[Command, Literal[-1, 1]] = {Command.LOUDER: 1, Command.SOFTER: -1}


class Lane:
    """``note`` every message, then ``obey``. Clearing and repeating are the caller's: they need the conversation."""

    def __init__(self, publish: Callable[[Message], None], clock: Callable[[], int], model: str) -> None:
        """``model``: the language model's name, for people."""
        self._publish, self._clock, self._model = publish, clock, model
        self._began = clock()
        self._beats: dict[str, tuple[int, Heartbeat]] = {}
        self._speaker: SpeakerState | None = None
        self._last = ("", "")  # the conversation that the daemon last said something of its own in, and what

    def note(self, received: Received) -> None:
        match received.message:
            case Heartbeat() as beat:
                self._beats[received.stamp.sender] = (self._clock(), beat)
            case SpeakerState() as state:
                self._speaker = state

    def obey(self, command: Command, text: str, language: str, own: Heartbeat) -> tuple[str, str]:
        """Do what a command asks for; gives what is said to it ("" nothing), and details to be read. ``own``: how the
        process that asks is."""
        match command:
            case Command.TIME:
                return lane.time(time.time(), None, language), ""
            case Command.DATE:
                return lane.date(time.time(), None, language), ""
            case Command.HEALTH:
                now = self._clock()
                beats = {**self._beats, "dialogue": (now, own)}
                return lane.health(beats, now, (now - self._began) / 1e9, self._model, language)
            case Command.LOUDER | Command.SOFTER | Command.VOLUME:
                return self._volume(command, text, language), ""
            case Command.MUTE | Command.UNMUTE if self._speaker is None:
                return personas.say("no_speaker", language), ""
            case Command.MUTE | Command.UNMUTE:
                self._publish(Mute(device="speaker", muted=command is Command.MUTE))
        key = lane.SAYINGS[command]
        return personas.say(key, language) if key else "", ""

    def said(self, conversation: str, words: str, own: bool) -> None:
        """What was said last; ``own``: by the daemon itself. A command that is obeyed in silence says nothing."""
        if own and words:
            self._last = (conversation, words)
        elif not own and self._last[0] == conversation:
            self._last = ("", "")

    def last(self, conversation: str) -> str:
        """What the daemon said of its own, if nothing was answered in this conversation since; else ""."""
        return self._last[1] if self._last[0] == conversation else ""

    def _volume(self, command: Command, text: str, language: str) -> str:
        if self._speaker is None:
            return personas.say("no_speaker", language)
        was = self._speaker.volume
        if command is Command.VOLUME:
            level = loudness.limited(commands.level(text))
            self._publish(Volume(level=level))
        else:
            level = loudness.stepped(was, STEPS[command])
            self._publish(Volume(step=STEPS[command]))
        return lane.volume(level, was, language)
