"""How loud a volume is, and the steps between volumes.

A volume is as it is heard, not as the samples are: half of it sounds half as loud, which is 10 dB less (Stevens' power
law: loudness grows with sound pressure to the power of 0.6).
"""

import math

STEP = 0.1
LEAST = 0.1  # "softer" ends here: silence is asked for by its name
FULL = 1.0
_EXPONENT = 1 / 0.6


def gain(volume: float) -> float:
    """What samples are multiplied with, 0..1."""
    return math.pow(min(FULL, max(0.0, volume)), _EXPONENT)


def stepped(volume: float, step: int) -> float:
    """So many steps louder, or softer, on the grid of steps; never silent."""
    return limited((round(volume / STEP) + step) * STEP)


def limited(volume: float) -> float:
    """A volume that can be heard, to the hundredth."""
    return round(min(FULL, max(LEAST, volume)), 2)
