"""A button's contacts, as a table of edges and what comes of them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core.button import MS, Button, Change, Settings, Unmuting

SETTINGS = Settings(bounce_ms=30, longest_s=10)
PLAIN = [(100, True), (900, False)]


def play(edges: list[tuple[int, bool]], until: int) -> list[tuple[int, bool]]:
    """As the reader does: it looks when there is an edge and when something is due. Times in ms."""
    subject, changes = Button(SETTINGS), list[Change]()
    for at, pressed in [*edges, (until, None)]:
        while subject.due is not None and subject.due < at * MS:
            changes += subject.passed(subject.due)
        changes += subject.passed(at * MS) if pressed is None else subject.edge(pressed, at * MS)
    return [(change.at // MS, change.pressed) for change in changes]


@pytest.mark.parametrize(
    ("edges", "until", "changes"),
    [
        ([(100, True), (900, False)], 2000, PLAIN),
        ([(100, True), (103, False), (105, True), (900, False), (901, True), (904, False)], 950, PLAIN),
        ([(100, True), (110, False)], 2000, [(100, True), (130, False)]),  # a tap that is shorter than the bouncing
        ([(100, True), (100, True), (100, True), (500, False), (500, False)], 2000, [(100, True), (500, False)]),
        ([(100, False), (200, False)], 2000, []),
        ([(100, True)], 20_000, [(100, True), (10_100, False)]),  # stuck
        ([(100, True), (15_000, False), (16_000, True)], 17_000, [(100, True), (10_100, False), (16_000, True)]),
        ([(100, True), (15_000, False), (15_010, True)], 17_000, [(100, True), (10_100, False), (15_030, True)]),
    ],
)  # fmt: skip
def test_changes(edges: list[tuple[int, bool]], until: int, changes: list[tuple[int, bool]]) -> None:
    assert play(edges, until) == changes


def test_it_says_why_it_let_go_by_itself() -> None:
    subject = Button(SETTINGS)
    assert subject.edge(True, 0) == [Change(True, 0)]
    assert subject.passed(10_000 * MS) == [Change(False, 10_000 * MS, "the button is stuck: held for 10 s")]
    assert subject.lost(11_000 * MS) == []
    subject.edge(True, 20_000 * MS)
    assert subject.lost(20_500 * MS) == [Change(False, 20_500 * MS, "the button is gone")]
    assert subject.due is None


@given(st.lists(st.tuples(st.integers(0, 60_000), st.booleans()), max_size=40).map(sorted))
def test_presses_and_releases_alternate_and_none_lasts_too_long(edges: list[tuple[int, bool]]) -> None:
    changes = play(edges, 200_000)
    assert [pressed for _, pressed in changes] == [index % 2 == 0 for index in range(len(changes))]
    assert len(changes) % 2 == 0  # at the end nobody holds it
    for (began, _), (ended, _) in zip(changes[::2], changes[1::2], strict=True):
        assert 0 < ended - began <= 10_000
    for (at, _), (later, _) in itertools.pairwise(changes):
        assert later - at >= 30 or later - at == 10_000


HOLD = Settings(unmute="hold", unmute_s=3)


@pytest.mark.parametrize(
    ("settings", "muted", "until", "why", "unmutes"),
    [
        (HOLD, (True, True), 3000, "", True),
        (HOLD, (True, True), 2999, "", False),  # he only wanted to speak, and is told that it is muted
        (HOLD, (True, True), 60_000, "the button is stuck: held for 60 s", False),
        (HOLD, (False, False), 5000, "", False),  # one speaks for so long
        (HOLD, (False, True), 5000, "", False),  # somebody muted it meanwhile, and means it
        (HOLD, (True, False), 5000, "", False),  # it hears again already
        (Settings(), (True, True), 5000, "", False),
    ],
)
def test_a_long_press_unmutes_where_that_is_wanted(
    settings: Settings, muted: tuple[bool, bool], until: int, why: str, unmutes: bool
) -> None:
    subject = Unmuting(settings)
    assert not subject.wanted(Change(True, 0), muted[0])
    assert subject.wanted(Change(False, until * MS, why), muted[1]) == unmutes
    assert not subject.wanted(Change(False, 9_000_000 * MS), True)  # let go once more, as after a bounce
