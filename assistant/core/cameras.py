"""Which camera does a question mean? "Look at the door camera", "看门口摄像头"."""

import re
from collections.abc import Mapping, Sequence

from assistant.core import commands

_CAMERA = r"(?:camera|cam|webcam)"
_CAMERA_ZH = r"(?:摄像头|摄像机|摄影机|相机|镜头|监控)"


def named(question: str, cameras: Mapping[str, Sequence[str]]) -> str:
    """The camera that a question names; "" for none. ``cameras``: what each may be called.

    Only with the word camera beside it is a name meant as one: "look at the door" is about a door in the picture. Of
    several the one that is named first counts, and of several at one place the longest ("front door" before "door").
    """
    words = commands.normalise(question)
    found = [
        (*place, camera) for camera, names in cameras.items() for name in names if (place := _mentioned(name, words))
    ]
    return min(found)[2] if found else ""


def _mentioned(name: str, words: str) -> tuple[int, int] | None:
    """Where a name begins and, negative, how long it is."""
    said = commands.normalise(name)
    if not said:
        return None
    # Recognisers put no spaces between Chinese and other words, so a word's edge is where its own kind of letter ends.
    own = rf"(?<![a-z0-9]){re.escape(said)}(?![a-z0-9])"
    after = rf"(?P<a>{own}) ?(?:{_CAMERA}(?![a-z])|的?{_CAMERA_ZH})"
    before = rf"(?:(?<![a-z]){_CAMERA}|{_CAMERA_ZH}) ?(?P<b>{own})"
    match = re.search(f"{after}|{before}", words)
    return (match.start(match.lastgroup or 0), -len(said)) if match else None
