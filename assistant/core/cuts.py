"""Where long sound is cut into pieces that can be listened to one by one: where it is quietest."""

from collections.abc import Sequence

SHORTEST_S, LONGEST_S = 6.0, 14.0  # of a piece; the last one may be shorter
PAUSE_S = 0.3  # so much around a cut should be quiet


def cuts(levels: Sequence[float], step_s: float) -> list[int]:
    """``levels``: how loud each step is, in any unit. Gives the steps at which to cut."""
    shortest, longest = round(SHORTEST_S / step_s), round(LONGEST_S / step_s)
    half, at, found = max(1, round(PAUSE_S / step_s / 2)), 0, list[int]()
    while len(levels) - at > longest:
        quietest = min(range(at + shortest, at + longest), key=lambda cut: max(levels[cut - half : cut + half]))
        found.append(quietest)
        at = quietest
    return found
