"""Bars for the terminal: durations as text, one line each."""

from collections.abc import Mapping, Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉"


def bars(timings_ms: Mapping[str, float], width: int = 40) -> list[str]:
    """A line per entry: its name, its bar (the longest fills ``width`` cells) and its figure in milliseconds."""
    if not timings_ms:
        return []
    longest = max(*timings_ms.values(), 1e-9) if len(timings_ms) > 1 else max(next(iter(timings_ms.values())), 1e-9)
    return _lines([(name, "", fitted(value / longest * width), value) for name, value in timings_ms.items()], width)


def waterfall(stages: Sequence[tuple[str, int, int]], width: int = 40) -> list[str]:
    """A line per stage (name, begin ns, end ns): its bar stands where the stage lies between the first begin and the
    last end, which are ``width`` cells apart. What ended before it began has no length."""
    if not stages:
        return []
    first = min(begin for _, begin, _ in stages)
    span = max(1, max(max(begin, end) for _, begin, end in stages) - first)
    rows = []
    for name, begin, end in stages:
        length = max(0, end - begin)
        before = min(int((begin - first) / span * width), width - 1)  # a stage without length is still to be seen
        rows.append((name, " " * before, fitted(min(width - before, length / span * width)), length / 1e6))
    return _lines(rows, width)


def _lines(rows: Sequence[tuple[str, str, str, float]], width: int) -> list[str]:
    wide = max(len(name) for name, *_ in rows)
    return [f"{name:<{wide}} {f'{before}{bar}':<{width}} {value:8.1f} ms" for name, before, bar, value in rows]


def fitted(cells: float) -> str:
    """A bar of so many cells, to an eighth; at least the thinnest."""
    eighths = max(1, round(max(0.0, cells) * 8))
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
