"""When the NPU is too hot for work that nobody waits for."""

COOLED_C = 5.0  # so far below the limit it must be until it counts as cool again


def hot(was: bool, celsius: float | None, limit_c: float) -> bool:
    """Whether it is too hot now; ``was``: whether it was. What is not known (None) is not hot."""
    if celsius is None:
        return False
    return celsius >= limit_c or (was and celsius > limit_c - COOLED_C)
