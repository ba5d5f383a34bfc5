"""Which slot a prompt continues, as tables."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.llm._cache import Slot, common, source, target
from pipelines.llm._decoder import KV

cells = st.lists(st.one_of(st.integers(0, 2), st.tuples(st.sampled_from("ab"), st.integers(0, 1))), max_size=12)


@given(cells, cells)
def test_common_is_the_longest_common_prefix(one: Any, other: Any) -> None:
    length = common(one, other)
    assert one[:length] == other[:length]
    assert length == min(len(one), len(other)) or one[length] != other[length]


def slots(*described: tuple[str, str, int]) -> list[Slot]:
    """Slots by owner, cells (a character each) and the number of the run that used them last."""
    made = []
    for owner, held, used in described:
        slot = Slot(KV(0, ()))
        slot.owner, slot.cells, slot.used = owner, [ord(char) for char in held], used
        made.append(slot)
    return made


@pytest.mark.parametrize(
    ("described", "owner", "taken"),
    [
        ([("", "", 0), ("", "", 0)], "live", 0),
        ([("live", "a", 5), ("", "", 0)], "live", 0),
        ([("live", "a", 1), ("x", "b", 9)], "y", 1),  # live keeps its own
        ([("x", "a", 7), ("live", "b", 1)], "y", 0),
        ([("x", "a", 7), ("y", "b", 3)], "live", 1),  # the one unused longest
        ([("x", "a", 7), ("y", "b", 3)], "x", 0),
        ([("live", "a", 1)], "x", 0),  # the only one
        ([("x", "a", 9), ("", "", 0), ("live", "b", 1)], "y", 1),
        ([("live", "a", 1), ("x", "b", 3), ("y", "c", 2)], "z", 2),
    ],
)
def test_whose_slot_is_taken(described: Any, owner: str, taken: int) -> None:
    made = slots(*described)
    assert made.index(target(made, owner)) == taken


@pytest.mark.parametrize(
    ("described", "own", "text", "expected"),
    [
        ([("live", "abc", 1), ("x", "abd", 2)], 0, "abde", (1, 3)),  # a longer prefix elsewhere
        ([("live", "abc", 1), ("x", "abc", 2)], 0, "abcd", (0, 3)),  # among equals its own
        ([("live", "abc", 1), ("x", "abc", 2)], 1, "abcd", (1, 3)),
        ([("live", "abc", 1), ("x", "", 2)], 1, "xyz", (1, 0)),
    ],
)
def test_where_the_prefix_comes_from(described: Any, own: int, text: str, expected: tuple[int, int]) -> None:
    made = slots(*described)
    found, length = source(made, made[own], [ord(char) for char in text])
    assert (made.index(found), length) == expected
