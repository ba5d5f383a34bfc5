"""One picture of a whole conversation: a row a turn, a lane a stage, time from the end of the user's speech."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from assistant.core.critical import by_name
from assistant.outcome import Line

Canvas = NDArray[np.uint8]
Color = tuple[int, int, int]  # blue, green, red, as OpenCV has it

# The ledger's stages from top to bottom, what they are called here, their colours.
LANES: dict[str, tuple[str, Color]] = {
    "speech": ("you speak", (196, 140, 60)),
    "endpoint": ("endpoint", (190, 184, 178)),
    "asr": ("recognise", (150, 170, 40)),
    "encode": ("encode", (60, 160, 235)),
    "encode ahead": ("encode ahead", (120, 190, 240)),
    "prefill ahead": ("prefill ahead", (205, 150, 220)),
    "prefill": ("prefill", (170, 90, 190)),
    "generate": ("generate", (130, 60, 150)),
    "voice": ("voice", (90, 110, 235)),
    "sound": ("reply sounds", (110, 175, 90)),
    "silence": ("the silence", (120, 120, 120)),
}
WAITING: Color = (205, 205, 205)  # for the NPU, in the lane of what waits
PARTS: dict[str, Color] = {
    "hold": LANES["endpoint"][1],
    "recognition": LANES["asr"][1],
    "picture": LANES["encode"][1],
    "waiting for the picture": (150, 205, 245),
    "prefill": LANES["prefill"][1],
    "first clause": LANES["generate"][1],
    "voice": LANES["voice"][1],
    "output": (60, 70, 190),
}
WIDTH, HEAD, FOOT = 1680, 96, 30
LANE, PAD = 15, 14  # height of a lane, space between rows
ROW = LANE * len(LANES) + 2 * PAD
THUMB = (172, 129)
TEXT_AT, LABEL_AT, CHART_AT, CHART_END = 214, 706, 812, WIDTH - 30
TEXT_WIDTH = LABEL_AT - TEXT_AT - 14
BEFORE_S, LONGEST_S, TICK_S = 2.0, 8.0, 0.5
SMALL = (cv2.IMWRITE_PNG_COMPRESSION, 9)
DEMO = "edge-assistant: a conversation, stage by stage"
FONT = cv2.FONT_HERSHEY_SIMPLEX

PAPER, INK, GREY, LINE, ZERO = (252, 250, 248), (40, 34, 30), (128, 120, 114), (228, 223, 218), (70, 60, 200)
GOOD, BAD = (90, 150, 40), (60, 50, 210)


def draw(lines: Sequence[Line], pictures: dict[int, Path], title: str = DEMO) -> bytes:
    """The PNG file. ``pictures`` are the files that the camera was told to show, by the number of the step. Under
    another title nothing was expected of the turns."""
    ends = [end / 1000 + 0.3 for line in lines for _, _, end in line.stages]
    after_s = min(LONGEST_S, max(1.0, *ends, 1.0))
    canvas: Canvas = np.full((HEAD + ROW * len(lines) + FOOT, WIDTH, 3), PAPER, np.uint8)
    _header(canvas, lines, after_s, title)
    thumbs: dict[Path, Canvas | None] = {path: _thumb(path) for path in set(pictures.values())}
    for number, line in enumerate(lines):
        top = HEAD + number * ROW
        cv2.line(canvas, (20, top), (WIDTH - 20, top), LINE, 1)
        picture = pictures.get(line.step)
        _words(canvas, top, line, thumbs.get(picture) if picture else None)
        _grid(canvas, top, after_s)
        _lanes(canvas, top, line, after_s)
    return bytes(cv2.imencode(".png", canvas, SMALL)[1])


def _header(canvas: Canvas, lines: Sequence[Line], after_s: float, title: str) -> None:
    turns = [line for line in lines if line.dropped is UNSET]
    good = sum(line.ok for line in lines)
    computed = sum(line.prompt_tokens - line.cached_tokens for line in turns)
    cached = sum(line.cached_tokens for line in turns)
    sounds = sorted(s for line in turns if (s := line.timings_ms.get("first_audio")) is not None)
    _put(canvas, title, 22, 36, 0.72, INK, 2)
    held = f", {good} of {len(lines)} as expected" if title == DEMO else ""
    facts = f"{len(turns)} turns{held}  |  {computed} tokens computed, {cached} cached"
    if sounds:
        facts += f"  |  end of speech to first sound: median {sounds[len(sounds) // 2]:.0f} ms"
    _put(canvas, facts, 22, 64, 0.48, GREY)
    _put(canvas, "seconds from the end of the user's speech", CHART_AT, 52, 0.42, GREY)
    for second in _ticks(after_s):
        if second == int(second):
            text, color = (f"{second:+.0f}", GREY) if second else ("0", ZERO)
            _put(canvas, text, _x(second, after_s) - 8, HEAD - 14, 0.46, color)


def _ticks(after_s: float) -> list[float]:
    return [number * TICK_S for number in range(int(-BEFORE_S / TICK_S), int(after_s / TICK_S) + 1)]


def _x(second: float, after_s: float) -> int:
    share = (second + BEFORE_S) / (BEFORE_S + after_s)
    return round(CHART_AT + min(1.0, max(0.0, share)) * (CHART_END - CHART_AT))


def _grid(canvas: Canvas, top: int, after_s: float) -> None:
    for second in _ticks(after_s):
        x = _x(second, after_s)
        cv2.line(canvas, (x, top + PAD // 2), (x, top + ROW - PAD // 2), ZERO if not second else LINE, 1)
    for index, (label, _) in enumerate(LANES.values()):
        _put(canvas, label, LABEL_AT, top + PAD + index * LANE + 11, 0.38, GREY)


def _lanes(canvas: Canvas, top: int, line: Line, after_s: float) -> None:
    for name, begin, end in line.stages:
        lane, waits = _lane(name), name.endswith(" waits")
        if lane not in LANES or end <= begin:
            continue
        y = top + PAD + list(LANES).index(lane) * LANE
        left, right = _bar(canvas, y, begin, end, after_s, _color(name))
        if waits or name == "output":
            continue
        text = _duration(end - begin)
        room = right + 5 + _wide(text, 0.36) < WIDTH
        _put(canvas, text, right + 5 if room else left - 5 - _wide(text, 0.36), y + 11, 0.36, INK)
    y, at = top + PAD + list(LANES).index("silence") * LANE, 0.0
    for name, length in line.parts:
        _bar(canvas, y, at, at + length, after_s, PARTS.get(name, WAITING))
        at += length
    if line.parts:
        _put(canvas, _duration(at), _x(at / 1000, after_s) + 8, y + 11, 0.36, INK)


def _bar(canvas: Canvas, y: int, begin: float, end: float, after_s: float, color: Color) -> tuple[int, int]:
    """From ``begin`` to ``end``, ms; gives where it lies."""
    left = _x(begin / 1000, after_s)
    right = max(left + 3, _x(end / 1000, after_s))
    cv2.rectangle(canvas, (left, y + 2), (right, y + LANE - 3), color, -1, cv2.LINE_AA)
    return left, right


def _lane(name: str) -> str:
    """A wait for the NPU stands in the lane of what waits; the way to the ear follows the voice."""
    return "voice" if name == "output" else name.removesuffix(" waits")


def _color(name: str) -> Color:
    if name.endswith(" waits"):
        return WAITING
    return PARTS["output"] if name == "output" else LANES[_lane(name)][1]


def _duration(ms: float) -> str:
    return f"{ms / 1000:.2f} s" if ms >= 1000 else f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def _words(canvas: Canvas, top: int, line: Line, thumb: Canvas | None) -> None:
    if thumb is not None:
        height, width = thumb.shape[:2]
        x, y = 22 + (THUMB[0] - width) // 2, top + (ROW - height) // 2
        canvas[y : y + height, x : x + width] = thumb
    y = top + PAD + 14
    color = GOOD if line.ok else BAD
    if line.dropped is not UNSET:
        _put(canvas, f"no turn: {line.dropped}", TEXT_AT, y, 0.52, BAD if not line.ok else GREY)
    else:
        _put(canvas, _fit(f"{line.turn}  {line.heard}", 0.52), TEXT_AT, y, 0.52, INK)
        for text in _wrap(line.answer, 0.52, 2):
            y += 23
            _put(canvas, text, TEXT_AT + 22, y, 0.52, color)
        y += 25
        _put(canvas, _fit(_figures(line), 0.4), TEXT_AT + 22, y, 0.4, GREY)
    lengths = by_name(line.parts)
    told = " + ".join(f"{name} {ms:.0f}" for name, ms in lengths.items())
    for text in _wrap(f"silence, ms: {told}", 0.4, 2) if told else ():
        y += 19
        _put(canvas, text, TEXT_AT + 22, y, 0.4, GREY)
    if line.finish_reason == "interrupted":
        y += 20
        _put(canvas, _fit(f"interrupted; heard: {line.spoken or 'nothing'}", 0.4), TEXT_AT + 22, y, 0.4, INK)
    if line.why:
        _put(canvas, _fit(line.why, 0.4), TEXT_AT + 22, y + 20, 0.4, BAD)


def _figures(line: Line) -> str:
    seen = "no picture"
    if line.frame_age_ms is not None:
        how = "new" if line.picture_fresh else "still as it was"
        seen = f"frame {line.frame_seq} ({how}), {line.frame_age_ms:.0f} ms old"
    return f"{seen}  |  {line.prompt_tokens - line.cached_tokens} tokens computed, {line.cached_tokens} cached"


def _thumb(path: Path) -> Canvas | None:
    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    picture: Any = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    if picture is None:
        return None
    scale = min(THUMB[0] / picture.shape[1], THUMB[1] / picture.shape[0])
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _put(canvas: Canvas, text: str, x: int, y: int, size: float, color: Color, weight: int = 1) -> None:
    # OpenCV's built-in letters are ASCII; what it has none for is told as such rather than dropped.
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(canvas, plain, (x, y), FONT, size, color, weight, cv2.LINE_AA)


def _wide(text: str, size: float) -> int:
    return int(cv2.getTextSize(text, FONT, size, 1)[0][0])


def _fit(text: str, size: float, width: int = TEXT_WIDTH) -> str:
    if _wide(text, size) <= width:
        return text
    while text and _wide(text + "...", size) > width:
        text = text[:-1]
    return text + "..."


def _wrap(text: str, size: float, most: int) -> list[str]:
    """At most that many lines of words; the last one is cut."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if _wide(longer, size) <= TEXT_WIDTH - 22 or len(lines) == most:
            lines[-1] = longer
        else:
            lines.append(word)
    return [*lines[:-1], _fit(lines[-1], size, TEXT_WIDTH - 22)]
