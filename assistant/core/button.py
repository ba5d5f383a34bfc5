"""What a button's contacts say and what the one who pressed it meant: bounces, and a button that is stuck. Pure."""

from typing import Annotated, Literal

import msgspec

MS = 1_000_000  # ns


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    bounce_ms: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 30  # changes nearer than this to the last one are no will
    longest_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 60.0  # held for longer, it is stuck
    # Whether the button makes a muted microphone hear again: pressed for so long and let go. Never by itself: whoever
    # muted it may not be who leans on the button.
    unmute: Literal["hold", "never"] = "never"
    unmute_s: Annotated[float, msgspec.Meta(gt=0, le=3600)] = 3.0


class Change(msgspec.Struct, frozen=True):
    pressed: bool
    at: int  # ns
    why: str = ""  # it was not the user who let go


class Button:
    """Changes come out at once, not after the bouncing: a press must not wait for it. Within ``bounce_ms`` after one
    the contacts may do as they like; then it counts how they are."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pressed = False
        self._contacts = False  # what they said last
        self._stuck = False  # given up as held; heard of again when it is really let go
        self._since = 0  # the last change
        self._bounce_until = 0

    @property
    def due(self) -> int | None:
        """When ``passed`` is to be called at the latest; None: nothing happens by itself."""
        if self._contacts != (self._pressed or self._stuck):
            return self._bounce_until
        return self._since + self._longest if self._pressed else None

    def edge(self, pressed: bool, at: int) -> list[Change]:
        """The contacts closed or opened."""
        changes = self.passed(at)
        self._contacts = pressed
        return changes + self.passed(at)

    def passed(self, at: int) -> list[Change]:
        """Time has come this far."""
        changes = []
        if self._contacts != (self._pressed or self._stuck) and at >= self._bounce_until:
            if not self._stuck:
                changes.append(Change(self._contacts, at))
            self._pressed, self._stuck = self._contacts, False
            self._since, self._bounce_until = at, at + self._settings.bounce_ms * MS
        if self._pressed and at >= self._since + self._longest:
            changes.append(self._given_up(at, f"the button is stuck: held for {self._settings.longest_s:g} s"))
            self._stuck = True
        return changes

    def lost(self, at: int) -> list[Change]:
        """The device is gone: nobody holds it any more."""
        changes = [self._given_up(at, "the button is gone")] if self._pressed else []
        self._pressed = self._contacts = self._stuck = False
        return changes

    @property
    def _longest(self) -> int:
        return int(self._settings.longest_s * 1000) * MS

    def _given_up(self, at: int, why: str) -> Change:
        self._pressed = False
        return Change(False, at, why)


class Unmuting:
    """What a long press of the button does while the microphone is muted. (While it is not, one speaks as long.)"""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._since: int | None = None  # it is held since then, and the microphone was muted

    def wanted(self, change: Change, muted: bool) -> bool:
        """Whether with this change the microphone shall hear again; ``muted``: it does not now."""
        if change.pressed:
            self._since = change.at if muted else None
            return False
        since, self._since = self._since, None
        if self._settings.unmute == "never" or since is None or not muted or change.why:
            return False
        return change.at - since >= self._settings.unmute_s * 1000 * MS
