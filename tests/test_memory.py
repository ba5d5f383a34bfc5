"""What dialogue remembers: conversations apart, pictures only while they are in hand, the live one across restarts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assistant.core.conversation import PictureRef
from assistant.history import History
from assistant.memory import CONVERSATIONS, PICTURES, Memory
from assistant.messages import LIVE, Turn
from pipelines import llm
from pipelines.llm import none

WIDTH = 4


class Counting(none.Engine):
    """No language model, but one that counts: a token a word, and ten a picture."""

    capabilities = llm.Capabilities(wants="embeddings", width=WIDTH, context=200, live_pictures=2)

    def count(self, conversation: Sequence[llm.Message]) -> int:
        parts = [part for message in conversation for part in message.content]
        return sum(len(part.split()) if isinstance(part, str) else 10 for part in parts)


def memory(path: Path | None = None, now: int = 0) -> Memory:
    return Memory(Counting(none.Options()), History(path, 30), lambda: now, keep=True, gap_s=600)


def picture(name: str) -> llm.Picture:
    return llm.Picture(name, rows=np.zeros((10, WIDTH), np.float32))


def talk(memory: Memory, name: str, start: int, identity: str = "") -> Turn:
    turn = Turn(name, start)
    if identity:
        memory.show(picture(identity))
    memory.ask(turn, f"question {start}", "en", PictureRef(identity, taken="12:00") if identity else None)
    memory.answered(turn, f"answer {start}", cut=False)
    return turn


def texts(messages: list[llm.Message]) -> list[str]:
    return [part if isinstance(part, str) else f"<{part.identity}>" for m in messages for part in m.content]


def test_conversations_do_not_mix() -> None:
    one = memory()
    talk(one, LIVE, 1)
    talk(one, "guest", 2)
    assert texts(one.prompt(LIVE, 10, "", ())) == ["question 1", "answer 1"]
    one.clear("guest", stored=True)
    assert one.last_reply("guest") == ""
    assert one.last_reply(LIVE) == "answer 1"


def test_a_picture_that_is_no_longer_in_hand_becomes_a_line() -> None:
    one = memory()
    talk(one, LIVE, 1, "first")
    assert one.in_context(LIVE) is not None
    for number in range(PICTURES + 5):
        one.show(picture(f"guest {number}"))
    assert one.in_context(LIVE) is None
    assert texts(one.prompt(LIVE, 10, "", ()))[0] == "[picture taken at 12:00, no longer shown]\nquestion 1"


def test_guests_come_and_go_but_the_live_conversation_stays() -> None:
    one = memory()
    talk(one, LIVE, 1)
    for number in range(CONVERSATIONS + 3):
        talk(one, f"guest {number}", number)
    assert one.last_reply("guest 0") == ""
    assert one.last_reply(LIVE) == "answer 1"


def test_the_live_conversation_goes_on_after_a_restart_without_its_pictures(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    before = memory(path)
    talk(before, LIVE, 1, "first")
    talk(before, "guest", 2)
    before.answered(Turn(LIVE, 1), "answ", cut=True)  # only this much was heard
    before.close()
    after = memory(path)
    assert texts(after.prompt(LIVE, 10, "", ())) == ["[picture taken at 12:00, no longer shown]\nquestion 1", "answ"]
    assert after.last_reply("guest") == ""
    after.clear(LIVE, stored=True)
    after.close()
    assert memory(path).last_reply(LIVE) == ""


def test_a_record_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    before = memory(path)
    talk(before, LIVE, 1)
    before.close()
    history = History(path, 30)
    history.put(LIVE, 2, b"{not json")
    history.close()
    assert memory(path).last_reply(LIVE) == "answer 1"
