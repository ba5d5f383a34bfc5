"""What no overlap can hide, case by case."""

import msgspec
import pytest

from assistant.core.latency import Asked, Pace, floor, quantile

PACE = Pace(
    recognition_ms=400,
    encode_ms=2000,
    token_ms=3,
    reply_token_ms=70,
    clause_tokens=8,
    block_ms=20,
    pause_ms=200,
    hold_ms=350,
)
ASKED = Asked(scene="still", speech_ms=2500, prompt_tokens=310, question_tokens=10, reuse="prefix")
CLAUSE = 7 * 70 + 20


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 600 + 30 + CLAUSE),  # pause and recognition, the question, the clause, the first block
        ({"reuse": "history"}, 600 + 30 + CLAUSE),  # the conversation only grew
        ({"reuse": "none"}, 600 + 930 + CLAUSE),
        ({"scene": "changed at onset"}, 600 + 30 + CLAUSE),  # 2000 + 900 - 2500 are over before the words are known
        ({"scene": "changed at onset", "speech_ms": 1500}, 1400 + 30 + CLAUSE),
        ({"scene": "changed at onset", "reuse": "history"}, 600 + 930 + CLAUSE),  # encoded ahead, not computed
        ({"scene": "changed at onset", "speech_ms": 1000, "reuse": "none"}, 1000 + 930 + CLAUSE),
        ({"scene": "changed late"}, 2400 + 30 + CLAUSE),
        ({"scene": "changed late", "speech_ms": 4000}, 2400 + 30 + CLAUSE),
        ({"scene": "changed late", "reuse": "history"}, 1500 + 930 + CLAUSE),
    ],
)
def test_what_cannot_be_hidden(changes: dict[str, object], expected: float) -> None:
    found = floor(PACE, msgspec.structs.replace(ASKED, **changes))
    assert found.total == pytest.approx(expected)
    assert found.total == max(found.words, found.picture) + found.question + found.clause + found.block


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hold_ms": 5000}, 5000 + 20),  # the answer waits for it, ready
        ({"pause_ms": 0, "hold_ms": 0}, 400 + 30 + CLAUSE),  # a button told
        ({"pause_ms": 0, "hold_ms": 0, "recognition_ms": 0}, 30 + CLAUSE),  # understood while it was spoken
    ],
)
def test_the_hold_hides_work_and_is_not_added_to_it(changes: dict[str, float], expected: float) -> None:
    assert floor(msgspec.structs.replace(PACE, **changes), ASKED).total == pytest.approx(expected)


def test_quantiles_lie_between_the_values() -> None:
    assert quantile([30.0, 10.0, 20.0], 0.5) == 20.0
    assert quantile([10.0, 20.0], 0.95) == pytest.approx(19.5)
    assert quantile([7.0], 0.95) == 7.0
