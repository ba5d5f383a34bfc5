"""A turn in the terminal: a lane a stage on one time axis, and under it what the silence was made of."""

from typing import Literal

from rich.cells import cell_len
from rich.text import Text

from assistant.core.bars import fitted
from assistant.core.critical import by_name, critical
from assistant.core.turnfacts import Stage, TurnRecord

COLORS = {
    "speech": "blue",
    "endpoint": "bright_black",
    "melody": "bright_blue",
    "asr": "cyan",
    "encode": "yellow",
    "prefill": "magenta",
    "generate": "bright_magenta",
    "voice": "red",
    "output": "bright_red",
    "sound": "green",
    "hold": "bright_black",
    "recognition": "cyan",
    "picture": "yellow",
    "waiting for the picture": "bright_yellow",
    "first clause": "bright_magenta",
}
OTHER = "white"
BEFORE_S, AFTER_S = 5.0, 0.4  # of speech before its end, and of the answer's sound, that are shown
LEAST = 12  # cells of a bar, however narrow the terminal
FIGURE = 9  # cells of a duration


def shown(record: TurnRecord, when: str, width: int) -> list[Text]:
    """The lines of a turn in ``width`` cells; ``when`` it was, for people."""
    lines = [_fit(Text(when, "dim").append(f"  {record.heard or '(not kept)'}", "bold cyan"), width)]
    if record.answer:
        lines.append(_fit(Text("  " + record.answer, "green"), width))
    lines.append(_fit(Text("  " + _facts(record), "dim"), width))
    stages = [stage for stage in record.stages if stage[2] > stage[1]]
    if not stages:
        return lines
    asked = record.asked_at
    first_ms = record.timings_ms.get("first_audio")
    ends = [end for name, _, end in stages if name != "sound"]
    begins = [begin for name, begin, _ in stages if name != "sound"]
    until = max([*ends, asked + round(((first_ms or 0) / 1e3 + AFTER_S) * 1e9)])
    since = max(min([*begins, asked]), asked - round(BEFORE_S * 1e9))
    label = max(len(name) for name, *_ in stages)
    cells = max(LEAST, width - label - FIGURE - 4)
    scale = cells / max(1, until - since)
    lines.append(Text(" " * (label + 3)) + _axis(asked, since, until, cells))
    for stage in stages:
        lines.append(_fit(_lane(stage, label, cells, since, until, scale), max(width, label + cells + 4), "crop"))
    if parts := critical(record):
        lines.append(_sum(record, label, cells, since, scale))
        told = Text("  ")
        for name, ms in by_name((part.name, part.ms) for part in parts).items():
            told.append(f"{name} {_duration(ms)}", COLORS.get(name, OTHER)).append(" + ", "dim")
        told = told[: len(told) - 3].append(f" = {_duration(first_ms or 0)} of silence", "bold")
        lines.append(told)
    return lines


def _lane(stage: Stage, label: int, cells: int, since: int, until: int, scale: float) -> Text:
    name, begin, end = stage
    color = COLORS.get(name.split()[0], OTHER)
    style = f"dim {color}" if name.endswith(("waits", "ahead")) else color
    left = max(0.0, (begin - since) * scale)
    length = (min(end, until) - max(begin, since)) * scale
    before = min(int(left), cells - 1)
    bar = " " * before + fitted(min(float(cells - before), length))
    cut = "▸" if end > until else " "
    text = Text(f"  {name:<{label}} ", "dim").append(bar.ljust(cells), style).append(cut, style)
    return text.append(f"{_duration((end - begin) / 1e6):>{FIGURE}}", "default")


def _sum(record: TurnRecord, label: int, cells: int, since: int, scale: float) -> Text:
    """The silence itself, part after part on the same axis: no cell is two parts', none is nobody's."""
    text, at = Text(f"  {'silence':<{label}} "), 0
    for part in critical(record):
        begin, end = round((part.begin - since) * scale), round((part.end - since) * scale)
        text.append(" " * (begin - at)).append("▒" * (end - begin), COLORS.get(part.name, OTHER))
        at = end
    return text.append(" " * (cells + 1 - at)).append(
        f"{_duration(record.timings_ms.get('first_audio') or 0):>{FIGURE}}", "bold"
    )


def _axis(zero: int, since: int, until: int, cells: int) -> Text:
    """Whole and half seconds from the end of the user's speech, as many as there is room for."""
    span_s = (until - since) / 1e9
    step = next((s for s in (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0) if s * cells / span_s >= 7), 30.0)
    line = [" "] * (cells + FIGURE)
    number = -int((zero - since) / 1e9 / step)
    while (at := round(((zero - since) / 1e9 + number * step) * cells / span_s)) < cells:
        second = number * step
        text = "0" if not number else f"{second:+.2f}".rstrip("0").rstrip(".")
        line[at : at + len(text) + 1] = [*text, " "]
        number += 1
    return Text("".join(line).rstrip() + " s", "dim")


def _facts(record: TurnRecord) -> str:
    told: list[str] = [record.finish_reason or "lost"]
    if record.frame_age_ms is not None:
        how = "new" if record.picture_fresh else "still as it was"
        told.append(f"frame {record.frame_seq} of {record.camera} ({how}), {record.frame_age_ms:.0f} ms old")
    if record.prompt_tokens:
        computed = record.prompt_tokens - record.cached_tokens
        told.append(f"{computed} tokens computed, {record.cached_tokens} cached, {record.completion_tokens} generated")
    if record.wasted_ms:
        npu = f" ({record.wasted_npu_ms:.0f} ms of the NPU)" if record.wasted_npu_ms else ""
        told.append(f"begun ahead in vain: {record.wasted_ms:.0f} ms{npu}")
    if record.detail:
        told.append(record.detail)
    return " · ".join(told)


def _duration(ms: float) -> str:
    return f"{ms / 1000:.2f} s" if ms >= 1000 else f"{ms:.0f} ms" if ms >= 10 else f"{ms:.1f} ms"


def _fit(text: Text, width: int, overflow: Literal["ellipsis", "crop"] = "ellipsis") -> Text:
    if cell_len(text.plain) > width:
        text.truncate(width, overflow=overflow)
    return text
