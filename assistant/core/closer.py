"""Look closer: which part of the picture is to be looked at from nearer, and where that part lies."""

import re
from typing import Literal, cast, get_args

from assistant.core import commands

Region = Literal["", "centre", "left", "right", "top", "bottom", "top left", "top right", "bottom left", "bottom right"]
REGIONS: tuple[str, ...] = get_args(Region)
SHARE = 0.5  # of width and height: twice as near, and of the picture's own shape, so that all of it is gained

_CLOSER = re.compile(
    r"\b(?:(?:look|get|go|come|move|see|show)\b(?: \w+){0,4} (?:closer|nearer)|closer look|closer view"
    r"|closer (?:at|to|on)|look more closely|look closely"
    r"|zoom in|zoom into|zoom(?! (?:out|back))|magnify|enlarge|close up)\b"
)
_CLOSER_ZH = re.compile(r"[近进]一?点|近一些|近些|(?:拉|凑|靠|走)近|近看|近距离|放大|特写")
_AWAY = re.compile(r"\b(?:not|don't|do not|no) (?:\w+ )?(?:closer|zoom)|别放大|不要放大")

# "right now" and "what is left of the ball" name no part of the picture; "the left of the picture" does.
_PICTURE = r"(?:the |this )?(?:picture|image|photo|frame|view|scene|screen)"
_NO_PLACE = rf"(?! (?:now|there|here|away)\b)(?! of (?!{_PICTURE}))"
_PLACES: dict[str, "re.Pattern[str]"] = {
    "top": re.compile(rf"\b(?:top|upper)\b{_NO_PLACE}|[左右]上|上[面方边部半角]|顶部|顶上"),
    "bottom": re.compile(rf"\b(?:bottom|lower)\b{_NO_PLACE}|[左右]下|下[面方边部半角]|底部|底下"),
    "left": re.compile(rf"\bleft\b{_NO_PLACE}|左"),
    "right": re.compile(rf"\bright\b{_NO_PLACE}|右"),
}


def region(question: str) -> Region:
    """The part of the picture that a question wants to see from nearer, "centre" where it names none; "" if it does
    not want that."""
    words = commands.normalise(question)
    if not (_CLOSER.search(words) or _CLOSER_ZH.search(words)) or _AWAY.search(words):
        return ""
    found = [place for place, pattern in _PLACES.items() if pattern.search(words)]
    upright = [place for place in found if place in ("top", "bottom")]
    across = [place for place in found if place in ("left", "right")]
    if len(upright) > 1 or len(across) > 1:  # "the left or the right": the words are about something else
        return "centre"
    return cast(Region, " ".join([*upright, *across]) or "centre")


def window(part: str, width: int, height: int, share: float = SHARE) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a region in a picture of this size, in pixels; at least one pixel."""
    if part not in REGIONS:
        raise ValueError(f"no region {part!r}; there are: {', '.join(name for name in REGIONS if name)}")
    if not part:
        return 0, 0, width, height
    left, right = _span(width, share, -("left" in part) + ("right" in part))
    top, bottom = _span(height, share, -("top" in part) + ("bottom" in part))
    return left, top, right, bottom


def _span(size: int, share: float, side: int) -> tuple[int, int]:
    length = min(size, max(1, round(size * share)))
    begin = {-1: 0, 0: (size - length) // 2, 1: size - length}[side]
    return begin, begin + length
