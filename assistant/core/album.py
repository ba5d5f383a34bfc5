"""Which of the pictures that a program's conversation holds the model is shown, and by what name each is known.

A program sends its whole conversation each time. A picture that it sent has a name for ever; one of a camera is of the
moment in which it was asked about, so it is known by where it stands: behind just these words, in this conversation.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from assistant.messages import UPLOAD, Said, Shown

GONE = "[a picture that is no longer shown]"


class Place(NamedTuple):
    """Where a picture stands. ``fresh``: in what is asked now, so a camera is to be looked at."""

    message: int
    part: int
    camera: str
    key: str
    fresh: bool

    @property
    def sent(self) -> bool:
        """Did the program send it?"""
        return self.camera.startswith(UPLOAD)


def places(messages: Sequence[Said]) -> list[Place]:
    """All pictures, in their order."""
    asked = max((number for number, said in enumerate(messages) if said.role == "user"), default=-1)
    digest, found = hashlib.sha256(), list[Place]()
    for number, said in enumerate(messages):
        digest.update(msgspec.msgpack.encode(said))
        for at, part in enumerate(said.content):
            if isinstance(part, Shown):
                key = part.camera if part.camera.startswith(UPLOAD) else f"{digest.hexdigest()}/{at}"
                found.append(Place(number, at, part.camera, key, fresh=number == asked))
    return found


def chosen(found: Sequence[Place], held: Collection[str], most: int) -> list[Place]:
    """Those that are shown, at most ``most``: the newest. What a camera showed then and is not ``held`` (keys) any more
    is gone; what a program sent is not, it can be sent again."""
    there = [place for place in found if place.fresh or place.sent or place.key in held]
    return there[len(there) - min(most, len(there)) :]


def too_many(found: Sequence[Place], most: int) -> bool:
    """Does what is asked now hold more pictures than can be shown at once?"""
    return sum(place.fresh for place in found) > most
