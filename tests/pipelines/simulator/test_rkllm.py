"""The RKLLM engine on the simulated board, for every family: whole conversations, pictures, interruptions."""

import contextlib
import json
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import engine, simulator
from pipelines.llm import Ended, LanguageModel, Message, Picture, Prefilled, PromptTooLong, Sampling, Thought, Token
from pipelines.llm.librkllm import Unsupported
from pipelines.npu.lock import Npu, Rank
from pipelines.simulator import build

FAMILIES = ("1.1.4", "1.2.0", "1.2.1b1", "1.2.3", "1.3.0")
HISTORY = FAMILIES[1:]
FIGURES = FAMILIES[3:]
TOKENIZER = "tests/fixtures/smolvlm/tokenizer.json"
SYSTEM = Message("system", ("Be brief.",))
LONG = Sampling(max_tokens=2000)
Start = Callable[..., LanguageModel]


@pytest.fixture
def start(built: Path, tmp_path: Path) -> Iterator[Start]:
    """Loads the engine on a simulated release: ``start("1.3.0", reuse="prefix")``."""
    opened: list[Any] = []

    def one(version: str, reuses: bool = True, **options: Any) -> LanguageModel:
        model = simulator.write_model(tmp_path / "m.rkllm", reuse=reuses)
        given = {"model": str(model), "library": str(build.library(version, built)), "row_width": 8, "template": {}}
        given |= {"max_new_tokens": 2000, "npu": str(tmp_path / "npu")}
        opened.append(engine.load("llm", "rkllm", {**given, **options}))
        return opened[-1]  # type: ignore[no-any-return]

    yield one
    for model in opened:
        model.close()


def picture(seed: int) -> Picture:
    rows = np.random.default_rng(seed).random((4, 8), np.float32)
    return Picture(f"{zlib.crc32(rows.tobytes()):08x}", rows)  # named as the simulated board reports it


def say(model: LanguageModel, talk: list[Message], *content: str | Picture) -> tuple[str, Ended]:
    """A turn: the question joins ``talk``, and so does the reply."""
    talk.append(Message("user", content))
    events = list(model.reply(talk, LONG))
    reply = "".join(event.text for event in events if isinstance(event, Token))
    talk.append(Message("assistant", (reply,)))
    assert isinstance(events[-1], Ended)
    return reply, events[-1]


@pytest.mark.parametrize("version", FAMILIES)
class TestConversation:
    def test_every_reply_is_about_its_own_picture(self, version: str, start: Start) -> None:
        """A second picture is never answered as the first (rknn-llm #257), by whichever road it comes."""
        model, talk = start(version), [SYSTEM]
        for seed in range(3):
            shown = picture(seed)
            reply, _ = say(model, talk, shown, "What is it?")
            assert json.loads(reply)["pictures"] == [shown.identity]
            gone = [part for part in talk[-2].content if isinstance(part, str)]
            talk[-2] = Message("user", ("[a picture, no longer shown]", *gone))

    def test_a_stale_board_does_not_deceive(self, version: str, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RKLLM_SIM_FAULTS", "stale-picture")
        self.test_every_reply_is_about_its_own_picture(version, start)

    @pytest.mark.parametrize("history", ["lines", "template"])
    def test_the_model_knows_all_that_was_said(
        self, version: str, start: Start, history: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RKLLM_SIM_REPLY", "{context}")
        model, talk = start(version, history=history), [SYSTEM]
        say(model, talk, "My name is Ada.")
        talk[-1] = Message("assistant", ("Hello.",))  # as after an interruption: the words that were heard
        reply, _ = say(model, talk, picture(1), "What is my name?")
        for words in ("Be brief.", "My name is Ada.", "Hello.", picture(1).identity, "What is my name?"):
            assert reply.count(words) == 1

    def test_an_interrupted_reply_leaves_the_next_one_whole(
        self, version: str, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "20")
        monkeypatch.setenv("RKLLM_SIM_REPLY", "word " * 300)
        model = start(version)
        with contextlib.closing(model.reply([SYSTEM, Message("user", ("Talk.",))], LONG)) as events:
            assert any(isinstance(event, Token) for event in events)
            began = time.monotonic()
        assert time.monotonic() - began < 0.1
        monkeypatch.delenv("RKLLM_SIM_DECODE_MS")
        monkeypatch.delenv("RKLLM_SIM_REPLY")
        reply, _ = say(model, [SYSTEM], "And you?")
        assert "Talk" not in json.loads(reply)["prompt"]

    def test_a_reader_can_leave_during_a_deaf_prefill(
        self, version: str, start: Start, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RKLLM_SIM_FAULTS", "deaf-prefill")
        monkeypatch.setenv("RKLLM_SIM_PREFILL_MS", "8")
        model = start(version)
        events = model.reply([SYSTEM, Message("user", ("word " * 60,))], LONG)
        assert isinstance(next(events), Prefilled)
        began = time.monotonic()
        events.close()
        assert time.monotonic() - began < 0.1
        monkeypatch.delenv("RKLLM_SIM_PREFILL_MS")
        assert json.loads(say(model, [SYSTEM], "And you?")[0])["role"] == "user"

    def test_length_and_stop_strings(self, version: str, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RKLLM_SIM_REPLY", "one two three four five six")
        model, asked = start(version), [SYSTEM, Message("user", ("Count.",))]
        events = list(model.reply(asked, Sampling(max_tokens=3)))
        assert "".join(event.text for event in events if isinstance(event, Token)) == "one two three"
        assert isinstance(events[-1], Ended)
        assert (events[-1].reason, events[-1].completion_tokens) == ("length", 3)
        monkeypatch.setenv("RKLLM_SIM_PREFILL_MS", "2")
        events = list(model.reply(asked, Sampling(stop=("ree fo",))))
        assert "".join(event.text for event in events if isinstance(event, Token)) == "one two th"
        assert isinstance(events[-1], Ended)
        assert events[-1].reason == "stop"
        assert events[-1].prefill_ms > events[-1].decode_ms  # also where the run was left, and nothing told of it

    def test_what_is_wrong_is_said_at_once(self, version: str, start: Start) -> None:
        model = start(version, context=64, max_new_tokens=20)
        with pytest.raises(PromptTooLong, match="leaves no room in a context of 64"):
            model.reply([Message("user", ("word " * 200,))], LONG)
        with pytest.raises(engine.EngineError, match="without embedding rows"):
            model.reply([Message("user", (Picture("x"), "What?"))], LONG)
        with pytest.raises(engine.EngineError, match="ends with a user's message"):
            model.reply([SYSTEM], LONG)
        narrow = Picture("x", np.zeros((4, 2), np.float32))
        with pytest.raises(engine.EngineError, match=r"2 floats wide, but m\.rkllm takes 8"):
            list(model.reply([Message("user", (narrow, "?"))], LONG))

    def test_a_failed_run_is_an_error_and_no_end(
        self, version: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = start(version)
        monkeypatch.setenv("RKLLM_SIM_NPU", str(tmp_path / "no" / "such" / "folder"))
        with pytest.raises(engine.EngineError, match="the run failed"):
            list(model.reply([Message("user", ("x",))], LONG))
        monkeypatch.delenv("RKLLM_SIM_NPU")
        assert json.loads(say(model, [SYSTEM], "And you?")[0])["role"] == "user"


def test_rows_may_come_as_a_message_brings_them(start: Start) -> None:
    shown = picture(3)
    assert shown.rows is not None
    odd = np.frombuffer(b"x" + shown.rows.tobytes(), np.float32, offset=1).reshape(shown.rows.shape)
    assert not odd.flags.aligned
    told = json.loads(say(start("1.3.0"), [SYSTEM], Picture("odd", odd), "What is it?")[0])
    assert told["pictures"] == [shown.identity]


def test_no_run_begins_while_another_one_has_the_npu(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulated board fails runs that overlap; here one is left during a prefill that hears no abort."""
    monkeypatch.setenv("RKLLM_SIM_NPU", str(tmp_path / "board"))
    monkeypatch.setenv("RKLLM_SIM_FAULTS", "deaf-prefill")
    monkeypatch.setenv("RKLLM_SIM_PREFILL_MS", "5")
    one, two = start("1.3.0"), start("1.2.3")
    vision = Npu("vision", tmp_path / "npu")
    with contextlib.closing(one.reply([SYSTEM, Message("user", ("word " * 60,))], LONG)) as events:
        assert isinstance(next(events), Prefilled)
        time.sleep(0.05)
        assert not vision.claim(Rank.IDLE).take()
    assert json.loads(say(two, [SYSTEM], "And you?")[0])["role"] == "user"
    with vision.hold(Rank.IDLE):
        asked = one.reply([SYSTEM, Message("user", ("x",))], LONG)
        assert isinstance(next(asked), Prefilled)  # it waits, and can be left
        asked.close()
    assert not (tmp_path / "board.overlaps").exists()


@pytest.mark.parametrize("version", HISTORY)
def test_a_conversation_that_grows_costs_only_its_new_turns(version: str, start: Start) -> None:
    model, talk = start(version, reuse="history"), [SYSTEM]
    say(model, talk, picture(1), "What is it?")
    for turn in range(4):
        told = json.loads(say(model, talk, f"And number {turn}?")[0])
        assert told["prefilled"] < 25
        assert told["pictures"] == [picture(1).identity]


@pytest.mark.parametrize("version", FIGURES)
def test_the_runtimes_figures_end_in_the_last_event(version: str, start: Start) -> None:
    model, talk = start(version, reuse="history"), [SYSTEM]
    _, first = say(model, talk, "Who?")
    _, second = say(model, talk, "Why?")
    assert first.cached_tokens == 0 < second.cached_tokens < second.prompt_tokens
    assert second.completion_tokens > 10


@pytest.mark.parametrize("version", FAMILIES)
def test_thoughts_are_no_part_of_the_reply_and_the_conversation_still_grows(
    version: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_REPLY", "<think>\nWell, {cached} tokens. </think>\n\nAda {prefilled}")
    model, talk = start(version), [SYSTEM]
    reply, end = say(model, talk, "Who are you? " * 9)
    assert reply.startswith("Ada")
    assert end.completion_tokens > 6  # what was thought was computed, too
    first = int(reply.split()[1])
    second = int(say(model, talk, "Who?")[0].split()[1])
    assert (second < first) == (version in HISTORY)
    events = list(model.reply([*talk, Message("user", ("And?",))], Sampling(max_tokens=3)))
    assert [event for event in events if isinstance(event, Token)] == []
    assert sum(isinstance(event, Thought) for event in events) > 0
    assert isinstance(events[-1], Ended)
    assert events[-1].reason == "length"


def test_a_template_that_opens_the_thought(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RKLLM_SIM_REPLY", "Hm. </think> Ada.")
    opening = {"postfix": "<|im_end|>\n<|im_start|>assistant\n<think>\n"}
    for options in ({"template": opening}, {"thinking_opened": True}):
        assert say(start("1.3.0", **options), [SYSTEM], "Who?")[0] == "Ada."


@pytest.mark.parametrize("version", FAMILIES)
def test_what_the_npu_cost_is_whole_when_the_end_is_told(
    version: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "2")
    monkeypatch.setenv("RKLLM_SIM_REPLY", "one two three four five six")
    model = start(version)
    _, end = say(model, [SYSTEM], "Count.")
    assert end.npu is not None
    assert end.npu.hold_ms >= 10  # the first of the six comes with the prompt
    assert end.npu.behind == ""
    assert (end.memory_mb > 0) == (version in FIGURES)
    with Npu("vision", tmp_path / "npu").hold(Rank.IDLE):
        asked = model.reply([SYSTEM, Message("user", ("x",))], LONG)
        while not (model._claim and model._claim.so_far().behind):  # type: ignore[attr-defined]
            next(asked)
    last = list(asked)[-1]
    assert isinstance(last, Ended)
    assert last.npu is not None
    assert (last.npu.behind, last.npu.wait_ms > 0) == ("vision", True)


def test_a_run_that_is_left_waits_for_nobody_and_the_next_one_tells_what_it_waited_for(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left while an earlier one was still at a prompt that hears no abort: its place in the queue goes, too."""
    monkeypatch.setenv("RKLLM_SIM_FAULTS", "deaf-prefill")
    monkeypatch.setenv("RKLLM_SIM_PREFILL_MS", "4")
    model, asked = start("1.3.0"), [SYSTEM, Message("user", ("word " * 60,))]
    for _ in range(2):
        with contextlib.closing(model.reply(asked, LONG)) as events:
            assert isinstance(next(events), Prefilled)
    monkeypatch.delenv("RKLLM_SIM_PREFILL_MS")
    _, end = say(model, [SYSTEM], "And you?")
    assert end.npu is not None
    assert (end.npu.behind, end.npu.wait_ms > 0) == ("llm", True)


@pytest.mark.parametrize("version", HISTORY)
def test_with_a_tokenizer_a_conversation_without_pictures_goes_as_tokens(version: str, start: Start) -> None:
    model = start(version, tokenizer=TOKENIZER, reuse="history")
    talk = [SYSTEM, Message("user", ("Who?",)), Message("assistant", ("Ada.",))]
    told = json.loads(say(model, talk, "Why?")[0])
    assert told["prompt"].startswith("#")
    assert told["prefilled"] == model.count(talk[:-1])
    assert json.loads(say(model, talk, "Why not?")[0])["prompt"].startswith("<|im_start|>user")


def test_the_prompt_ahead_of_its_use(start: Start) -> None:
    asked = [SYSTEM, Message("user", ("What do you see in this room?",))]
    for version in FIGURES:
        model = start(version, reuse="prefix")
        assert isinstance(list(model.prefill(asked))[-1], Prefilled)
        events = list(model.reply(asked, LONG))
        told = json.loads("".join(event.text for event in events if isinstance(event, Token)))
        assert told["prefilled"] == 1
    assert list(start("1.2.0", reuse="prefix").prefill(asked)) == []


@pytest.mark.parametrize("version", HISTORY)
def test_a_model_that_cannot_reuse_is_given_everything_again(version: str, start: Start) -> None:
    model, talk = start(version, reuses=False, reuse="none"), [SYSTEM]
    for _ in range(2):
        assert json.loads(say(model, talk, "Who?")[0])["cached"] == 0


@pytest.mark.parametrize("version", FAMILIES)
def test_a_family_says_what_the_settings_do_not(version: str, built: Path, tmp_path: Path) -> None:
    """Tags, widths and the template of SmolVLM, and nothing that the release lacks."""
    model = simulator.write_model(tmp_path / "m.rkllm", width=576, context_limit=8192)
    given = {"model": str(model), "library": str(build.library(version, built)), "npu": str(tmp_path / "npu")}
    with contextlib.closing(engine.load("llm", "rkllm", {**given, "family": "smolvlm-256m"})) as llm:
        assert (llm.capabilities.width, llm.capabilities.context) == (576, 4096)
        shown = np.random.default_rng(0).random((64, 576), np.float32)
        told = json.loads(say(llm, [SYSTEM], Picture("one", shown), "What is it?")[0])
        assert told["pictures"] == [f"{zlib.crc32(shown.tobytes()):08x}"]
        assert "<|vision_start|>" not in told["prompt"]
        assert told["prompt"].endswith("<end_of_utterance>\nAssistant:") == (version in HISTORY)
    with pytest.raises(engine.EngineError, match=r"40000, but .* was converted for 32768 tokens at most"):
        engine.load("llm", "rkllm", {**given, "family": "qwen2-vl-2b", "context": 40000})


@pytest.mark.parametrize("version", FAMILIES)
def test_a_family_that_thinks_is_told_not_to_where_the_release_can(version: str, start: Start) -> None:
    told = json.loads(say(start(version, family="qwen3.5-0.8b", template="built in"), [SYSTEM], "Who?")[0])
    assert told["thinking"] is False
    if version in FIGURES:
        model = start(version, family="qwen3.5-0.8b", template="built in", thinking=True)
        assert json.loads(say(model, [SYSTEM], "Who?")[0])["thinking"] is True


def test_options_that_the_release_or_the_files_do_not_allow(start: Start, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="no enable_thinking; it comes with"):
        start("1.2.0", thinking=True)
    with pytest.raises(engine.EngineError, match="there is no tokenizer /nowhere"):
        start("1.3.0", tokenizer="/nowhere")
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(engine.EngineError, match="is damaged"):
        start("1.3.0", tokenizer=str(tmp_path / "tokenizer.json"))
    with pytest.raises(engine.EngineError, match="there is no RKLLM runtime"):
        engine.load("llm", "rkllm", {"model": "m.rkllm", "library": "/nowhere/librkllmrt.so"})


def test_the_beginning_of_a_question_ahead_of_its_end(start: Start) -> None:
    """Only the question is left where the release finds what stands behind a picture; and it says so."""
    for version, ahead in (("1.2.0", "nothing"), ("1.2.3", "nothing"), ("1.3.0", "pictures")):
        model, shown = start(version), picture(1)
        assert model.capabilities.ahead == ahead
        before = [SYSTEM, Message("user", ("Who?",)), Message("assistant", ("Ada.",))]
        done = list(model.prefill([*before, Message("user", (shown, ""))]))
        assert bool(done) == (ahead != "nothing")
        told = json.loads(say(model, before, shown, "What is it?")[0])
        assert told["pictures"] == [shown.identity]
        assert (told["prefilled"] < 20) == bool(done)
        if done:  # and the next turn finds all but the last one's answer, which it writes otherwise
            assert done[-1].npu is not None
            list(model.prefill([*before, Message("user", ("",))]))
            assert json.loads(say(model, before, "And now?")[0])["prefilled"] < 20
    assert start("1.2.3", reuse="prefix").capabilities.ahead == "text"


EXAMPLES = [Message("user", ("Is it on?",), fixed=True), Message("assistant", ("Yes, it is on.",), fixed=True)]


@pytest.mark.parametrize("version", FIGURES)
def test_before_another_picture_the_opening_stays(version: str, start: Start) -> None:
    rest = []
    for opening in ([SYSTEM], [SYSTEM, *EXAMPLES]):
        model, counted = start(version, reuse="prefix"), []
        for number in (1, 2, 3):
            told = json.loads(say(model, list(opening), shown := picture(number), "What is it?")[0])
            assert told["pictures"] == [shown.identity]
            counted.append((told["cached"], told["prefilled"]))
        assert counted[0][0] == 0 < counted[1][0]
        assert counted[1] == counted[2]
        assert sum(counted[1]) == sum(counted[0])
        rest.append(counted[1][1])
    assert rest[0] == rest[1]  # of the examples nothing is computed again


@pytest.mark.parametrize("version", FAMILIES)
def test_the_model_knows_the_examples(version: str, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RKLLM_SIM_REPLY", "{context}")
    for given in ({}, {"template": "built in"}):
        model = start(version, **given)
        for content in (("Who?",), (picture(1), "What is it?")):
            reply = say(model, [SYSTEM, *EXAMPLES], *content)[0]
            assert reply.index("Be brief.") < reply.index("Is it on?") < reply.index("Yes, it is on.")
            assert reply.index("Yes, it is on.") < reply.index(content[-1])
            assert reply.count("Is it on?") == 1
