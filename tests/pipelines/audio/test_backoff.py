"""How long a lost device is left alone."""

from pipelines.audio.backoff import Backoff


def test_the_first_time_at_once_then_ever_longer() -> None:
    backoff = Backoff(first_s=0.25, longest_s=4.0)
    assert [backoff.failed() for _ in range(8)] == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


def test_it_begins_anew_after_a_device_that_worked() -> None:
    backoff = Backoff(first_s=1.0, lasted_s=5.0)
    waits = [backoff.failed(worked) for worked in (60.0, 0.0, 0.1, 4.9, 5.0, 0.0)]
    assert waits == [0.0, 1.0, 2.0, 4.0, 0.0, 1.0]


def test_it_never_overflows() -> None:
    backoff = Backoff(longest_s=8.0)
    assert {backoff.failed() for _ in range(5000)} == {0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0}
