"""What waits for one listener: in order, bounded, and nobody else's hindrance."""

import asyncio

import pytest

from assistant.gateway.hub import WAITING, WAITING_BYTES, Letterbox
from assistant.gateway.link import Overrun


def test_a_long_queue_of_one_does_not_hold_up_the_others() -> None:
    line, turns = Letterbox("web-1"), 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def told() -> list[str | bytes]:
        line.put(*map(str, range(50)))
        other = asyncio.ensure_future(others())
        found = [await line.get() for _ in range(50)]
        other.cancel()
        return found

    assert asyncio.run(told()) == list(map(str, range(50)))
    assert turns >= 25


@pytest.mark.parametrize(("count", "size"), [(WAITING + 1, 1), (9, WAITING_BYTES // 8)])
def test_who_lets_too_much_wait_is_told_so_and_holds_nothing(count: int, size: int) -> None:
    line = Letterbox("web-1")

    async def told() -> None:
        for _ in range(count):
            assert not line.over
            line.put("x" * size)
        assert line.over
        line.put("more")
        with pytest.raises(Overrun):
            await line.get()

    asyncio.run(told())
