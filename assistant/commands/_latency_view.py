"""The figures of ``assistant bench latency`` for people: a table, and a bar chart."""

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from assistant.commands._latency_cases import MAIN
from assistant.commands._latency_figures import NO_REUSE
from assistant.commands._timeline import BAD, FONT, GOOD, GREY, INK, LINE, PAPER, SMALL, Canvas, Color

BEFORE: Color = (190, 184, 178)
OURS: Color = (130, 60, 150)
FLOOR: Color = (190, 200, 60)
WIDTH, HEAD, FOOT, ROW, LEFT, RIGHT = 1200, 92, 46, 46, 300, 1130


def lines(figures: dict[str, Any]) -> list[str]:
    """A row a case; the times are medians."""
    made = [
        _title(figures),
        "from the last sample of the question to the first of the answer, ms "
        f"(ours holds {figures['hold_ms']} ms, the sequential flow {figures['same_hold_ms']}; ratio: both that)",
        f"ears: {figures['ears']}; mouth: {figures['mouth']}",
        "",
        f"{'':<32}{'sequential':>14}{'ours':>14}{'ratio':>8}{'floor':>8}{'over':>7}{'wasted':>8}{'aim':>8}",
    ]
    for name, row in _rows(figures):
        before, after = row["sequential_ms"], row["ours_ms"]
        aim = f"{row['aim_ms']:.0f} {'ok' if row['aim_met'] else 'no'}" if "aim_ms" in row else ""
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        made.append(
            f"{name:<32}{_both(before):>14}{_both(after):>14}{ratio:>8}{row['floor_ms']:>8}"
            f"{row['over_floor']:>7.2f}{row['wasted_npu_ms']:>8.0f}{aim:>8}"
        )
    if "aim_ratio" in figures:
        kept = "ok" if figures["ratio_met"] else "no"
        made += ["", f"ratio {figures['ratio']:.2f}, aim {figures['aim_ratio']:.2f}: {kept}"]
    machine = figures["machine"]
    load = f"load {max(machine['load']):.1f} of {machine['cores']} cores"
    return [*made, "", f"{figures['seconds']} s in all, {load}, {figures['asked_again']} questions asked again"]


def _title(figures: dict[str, Any]) -> str:
    release = f", RKLLM {figures['release']}" if figures["release"] else ""
    kind = "simulated at the published pace" if figures["simulated"] else "measured here"
    return f"{figures['board']}, {figures['model']}{release}: {kind}"


def _both(found: dict[str, float] | None) -> str:
    return "" if found is None else f"{found['p50']:.0f} ({found['p95']:.0f})"


def _rows(figures: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield MAIN.name, figures
    yield from figures["cases"].items()
    for release, cases in figures["releases"].items():
        told = release if release != NO_REUSE else "nothing reused"
        for name, row in cases.items():
            yield f"{name}, {told}", row


def draw(figures: dict[str, Any]) -> bytes:
    """The PNG file: two bars a case, the sequential flow and ours, with the floor and the aim marked on ours."""
    rows = list(_rows(figures))
    longest = max(max(row["ours_ms"]["p50"], (row["sequential_ms"] or {"p50": 0})["p50"]) for _, row in rows)
    canvas: Canvas = np.full((HEAD + ROW * len(rows) + FOOT, WIDTH, 3), PAPER, np.uint8)
    _put(canvas, "edge-assistant: silence before the answer", 22, 34, 0.7, INK, 2)
    _put(canvas, _title(figures) + f"  |  ears: {figures['ears']}  |  mouth: {figures['mouth']}", 22, 60, 0.42, GREY)
    _legend(canvas)
    scale = (RIGHT - LEFT) / max(1.0, longest)
    bottom = HEAD + ROW * len(rows)
    for second in range(int(longest // 1000) + 1):
        x = LEFT + round(second * 1000 * scale)
        cv2.line(canvas, (x, HEAD - 4), (x, bottom), LINE, 1)
        _put(canvas, f"{second} s", x - 8, bottom + 20, 0.42, GREY)
    for number, (name, row) in enumerate(rows):
        top = HEAD + number * ROW
        _put(canvas, name, 22, top + 26, 0.42, INK)
        if row["sequential_ms"] is not None:
            _bar(canvas, top + 5, row["sequential_ms"]["p50"], scale, BEFORE)
        _bar(canvas, top + 22, row["ours_ms"]["p50"], scale, OURS)
        _mark(canvas, top + 20, row["floor_ms"], scale, FLOOR)
        if "aim_ms" in row:
            _mark(canvas, top + 20, row["aim_ms"], scale, GOOD if row["aim_met"] else BAD)
    return bytes(cv2.imencode(".png", canvas, SMALL)[1])


def _legend(canvas: Canvas) -> None:
    x = LEFT
    for text, color in (("sequential", BEFORE), ("ours", OURS), ("floor", FLOOR), ("aim", GOOD), ("aim missed", BAD)):
        cv2.rectangle(canvas, (x, 70), (x + 12, 80), color, -1)
        _put(canvas, text, x + 18, 80, 0.42, GREY)
        x += 140


def _bar(canvas: Canvas, top: int, ms: float, scale: float, color: Color) -> None:
    right = LEFT + round(ms * scale)
    cv2.rectangle(canvas, (LEFT, top), (max(LEFT + 1, right), top + 13), color, -1)
    _put(canvas, f"{ms / 1000:.2f} s", right + 6, top + 11, 0.4, INK)


def _mark(canvas: Canvas, top: int, ms: float, scale: float, color: Color) -> None:
    x = LEFT + round(ms * scale)
    cv2.line(canvas, (x, top), (x, top + 17), color, 2)


def _put(canvas: Canvas, text: str, x: int, y: int, size: float, color: Color, weight: int = 1) -> None:
    cv2.putText(canvas, text.encode("ascii", "replace").decode(), (x, y), FONT, size, color, weight, cv2.LINE_AA)
