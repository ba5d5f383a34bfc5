"""The binding against the simulated runtime, release by release: what is asked for is what the library is given."""

import ctypes
import gc
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import simulator
from pipelines.llm.librkllm import (
    Answer,
    Init,
    Library,
    RkllmError,
    Rows,
    Run,
    Sampler,
    Seen,
    Session,
    Text,
    Tokens,
    Unsupported,
)
from pipelines.simulator import build
from tests.pipelines.simulator.talking import Open, ask, pictures, report, sums

RELEASES = tuple(build.FAMILIES)
WITH_HISTORY = RELEASES[1:]
WITH_SEVERAL = RELEASES[2:]
WITH_SIZE = RELEASES[3:]


@pytest.mark.parametrize("version", RELEASES)
class TestEveryRelease:
    def test_a_prompt_arrives_as_it_is_in_the_models_template(self, version: str, start: Open) -> None:
        told = report(start(version), 'Say "hé, 你好 🙂"\n')
        assert told["prompt"] == (
            '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSay "hé, 你好 🙂"\n<|im_end|>\n'
            "<|im_start|>assistant\n"
        )
        assert told["pictures"] == []
        assert told["cached"] == 0

    def test_one_picture_arrives_with_all_its_floats(self, version: str, start: Open) -> None:
        rows = pictures(1)
        told = report(start(version), Seen("<image>What is it?", rows, (448, 448)))
        assert told["pictures"] == sums(rows)
        assert f"<|vision_start|>[{sums(rows)[0]}*4]<|vision_end|>What is it?" in told["prompt"]

    def test_tokens_and_embeddings_arrive(self, version: str, start: Open) -> None:
        session = start(version)
        assert report(session, Tokens(np.array([5, 77, 2**31 - 1], np.int32)))["prompt"] == "#5 #77 #2147483647 "
        assert report(session, Rows(pictures(1)[0]))["prefilled"] == 4

    def test_settings_arrive(self, version: str, start: Open) -> None:
        session = start(version, sampler=Sampler(top_k=1, temperature=0.25))
        told = report(session, "x")
        assert (told["top_k"], told["temperature"]) == (1, 0.25)
        assert start(version, max_new_tokens=3).run(Text("x"), lambda *_: None).figures.decode_tokens == 3

    @pytest.mark.parametrize("style", ["rest", "whole", "raw"])
    @pytest.mark.parametrize("thread", ["0", "1"])
    def test_characters_are_never_torn(
        self, version: str, start: Open, style: str, thread: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        said = "Ça va 你好,世界 🙂🙃 ÿ ok"
        monkeypatch.setenv("RKLLM_SIM_REPLY", said)
        monkeypatch.setenv("RKLLM_SIM_UTF8", style)
        monkeypatch.setenv("RKLLM_SIM_THREAD", thread)
        pieces: list[str] = []
        start(version).run(Text("x"), lambda text, _: pieces.append(text))
        assert "".join(pieces) == said
        assert not [piece for piece in pieces if "�" in piece]

    def test_adapters_and_prompt_caches(self, version: str, start: Open, tmp_path: Path) -> None:
        (tmp_path / "adapter.rkllm").touch()
        session, other, cache = start(version), start(version), str(tmp_path / "system.cache")
        session.load_lora(str(tmp_path / "adapter.rkllm"), "pirate", 0.5)
        assert report(session, "x", lora="pirate")["lora"] == "pirate"
        report(session, "A long beginning. x", save_cache=cache)
        other.load_prompt_cache(cache)
        assert report(other, "A long beginning. y")["cached"] > 10
        other.release_prompt_cache()
        assert report(other, "z A long beginning.")["cached"] <= 10

    def test_what_a_sink_raises_is_raised_and_ends_the_run(
        self, version: str, start: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RKLLM_SIM_DECODE_MS", "5")
        monkeypatch.setenv("RKLLM_SIM_REPLY", "word " * 400)
        session = start(version)

        def broken(_text: str, _token: int) -> None:
            raise ZeroDivisionError("in the sink")

        began = time.monotonic()
        with pytest.raises(ZeroDivisionError, match="in the sink"):
            session.run(Text("x"), broken)
        assert time.monotonic() - began < 1.5
        monkeypatch.setenv("RKLLM_SIM_REPLY", "fine")
        assert ask(session, "x") == "fine"

    def test_the_callback_outlives_the_garbage_collector(self, version: str, start: Open) -> None:
        session = start(version)
        gc.collect()
        for _ in range(3):
            assert report(session, "x")["role"] == "user"
            gc.collect()

    def test_a_closed_model_says_so(self, version: str, start: Open) -> None:
        session = start(version)
        session.close()
        session.close()
        assert session.abort() is False
        with pytest.raises(RkllmError, match="this model was closed"):
            ask(session, "x")

    def test_a_session_that_is_forgotten_is_destroyed(self, version: str, start: Open, built: Path) -> None:
        session = start(version)
        library = Library(str(build.library(version, built)))
        forgotten = Session(library, session.init)
        assert library.loaded == 1
        del forgotten
        gc.collect()
        assert library.loaded == 0


@pytest.mark.parametrize("version", WITH_HISTORY)
class TestHistory:
    def test_kept_history_grows_and_only_the_new_turn_is_computed(self, version: str, start: Open) -> None:
        session = start(version)
        first = report(session, "My name is Ada.", keep_history=True)
        second = report(session, "What is my name?", keep_history=True)
        assert first["cached"] == 0
        assert second["cached"] > first["kv"]
        assert "Ada" not in second["prompt"]
        assert "system" not in second["prompt"]

    def test_without_history_the_common_beginning_is_found_again(self, version: str, start: Open) -> None:
        session = start(version)
        report(session, "What do you see?")
        again = report(session, "What do you hear?")
        assert again["cached"] > 5
        assert "Be brief." in again["prompt"]

    def test_clearing(self, version: str, start: Open) -> None:
        session = start(version)
        full = report(session, "My name is Ada.", keep_history=True)["kv"]
        session.clear(keep_system=True)
        assert 0 < report(session, "What is my name?", keep_history=True)["cached"] < full
        session.clear(keep_system=False)
        assert report(session, "What is my name?", keep_history=True)["cached"] == 0

    def test_a_template_replaces_the_models_and_empties_the_cache(self, version: str, start: Open) -> None:
        session = start(version)
        report(session, "before", keep_history=True)
        session.chat_template("", "<|im_start|>", "<end_of_utterance>\nAssistant:")
        told = report(session, "hello", keep_history=True)
        assert told["prompt"] == "<|im_start|>hello<end_of_utterance>\nAssistant:"
        assert told["cached"] == 0

    def test_the_context_shifts_when_it_is_full(
        self, version: str, start: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RKLLM_SIM_REPLY", "word " * 300)
        session = start(version, max_context_len=120, max_new_tokens=119, n_keep=4)
        for _ in range(2):
            assert session.run(Text("x"), lambda *_: None).state == "finished"
        monkeypatch.setenv("RKLLM_SIM_REPLY", "{context}")
        assert ask(session, "and", keep_history=True).startswith("<|im_start|>system\nBe")  # the four that are kept
        with pytest.raises(RkllmError, match="the run failed"):
            ask(session, "word " * 130)

    def test_a_stale_second_picture_can_be_seen_for_what_it_is(
        self, version: str, start: Open, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one, two = pictures(1, seed=1), pictures(1, seed=2)
        session = start(version)
        monkeypatch.setenv("RKLLM_SIM_FAULTS", "stale-picture")
        report(session, Seen("<image>one", one), keep_history=True)
        stale = report(session, Seen("<image>two", two), keep_history=True)
        assert stale["pictures"] == sums(one) * 2
        session.clear(keep_system=False)
        assert report(session, Seen("<image>two", two), keep_history=True)["pictures"] == sums(two)


@pytest.mark.parametrize("version", WITH_SEVERAL)
def test_several_pictures_arrive_in_their_order(version: str, start: Open) -> None:
    rows = pictures(3)
    told = report(start(version), Seen("<image>one <image>two <image>three", rows))
    assert told["pictures"] == sums(rows)
    assert told["prompt"].index(sums(rows)[1]) > told["prompt"].index("one")


@pytest.mark.parametrize("version", WITH_SIZE)
class TestLater:
    def test_size_of_the_cache(self, version: str, start: Open) -> None:
        session = start(version)
        assert session.kv_size() == 0
        report(session, "x", keep_history=True)
        size = session.kv_size()
        assert size > 0
        session.clear(keep_system=False)
        assert session.kv_size() == 0

    def test_tools_and_their_results(self, version: str, start: Open) -> None:
        session = start(version)
        session.function_tools("Use tools.", '[{"name": "light"}]')
        told = report(session, '{"light": "on"}', role="tool", keep_history=True)
        assert 'Use tools.[{"name": "light"}]' in told["prompt"]
        assert "tool_response" in told["prompt"]
        assert told["role"] == "tool"
        with pytest.raises(RkllmError, match="exclude each other"):
            session.chat_template("", "", "")

    def test_thinking(self, version: str, start: Open) -> None:
        assert report(start(version), "x", thinking=True)["thinking"] is True
        assert report(start(version), "x", thinking=False)["thinking"] is False

    def test_the_runtimes_own_figures(self, version: str, start: Open) -> None:
        figures = start(version).run(Text("x"), lambda *_: None, Run()).figures
        assert not figures.measured
        assert figures.prefill_tokens > 5
        assert figures.memory_mb > 1

    def test_pausing_and_clearing_a_range(self, version: str, start: Open) -> None:
        session = start(version)
        outcome = session.run(Text("x"), lambda *_: Answer.PAUSE, Run(pausable=True))
        assert outcome.state == "paused"
        before = session.kv_size()
        session.clear(ranges=[(2, 5)])
        assert session.kv_size() == before - 3
        report(session, "x")
        with pytest.raises(RkllmError, match="only while a run is paused"):
            session.clear(ranges=[(2, 5)])


class TestThirteen:
    def test_sampling_and_length_of_one_run(self, start: Open) -> None:
        session = start("1.3.0", sampler=Sampler(top_k=7, temperature=0.5))
        told = report(session, "x", sampler=Sampler(temperature=0.75))
        assert (told["top_k"], told["temperature"]) == (7, 0.75)
        assert session.run(Text("x"), lambda *_: None, Run(max_new_tokens=2)).figures.decode_tokens == 2
        assert report(session, "x")["temperature"] == 0.5

    def test_a_picture_in_the_cache_is_reused(self, start: Open) -> None:
        rows = pictures(1)
        cached = {}
        for version in ("1.2.3", "1.3.0"):
            session = start(version)
            report(session, Seen("<image>What is it?", rows))
            cached[version] = report(session, Seen("<image>What else?", rows))["cached"]
        assert cached["1.3.0"] >= cached["1.2.3"] + 4

    def test_binding_costs_little(self, start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RKLLM_SIM_REPLY", "word " * 900)
        figures = start("1.3.0").run(Text("x"), lambda *_: None).figures
        assert figures.decode_ms * 1000 / figures.decode_tokens < 500  # µs; the aim is 50, machines are busy


LACKING: dict[str, tuple[str, Callable[[Session], object], str]] = {
    "clear": ("1.1.4", lambda s: s.clear(), r"RKLLM 1\.1\.4 has no rkllm_clear_kv_cache; it comes with 1\.2\.0"),
    "history": ("1.1.4", lambda s: ask(s, "x", keep_history=True), r"no keep_history; it comes with 1\.2\.0"),
    "template": ("1.1.4", lambda s: s.chat_template("", "", ""), r"no rkllm_set_chat_template; .* 1\.2\.0"),
    "size": ("1.2.0", lambda s: s.kv_size(), r"no rkllm_get_kv_cache_size; it comes with 1\.2\.1$"),
    "tools": ("1.2.1b1", lambda s: s.function_tools("", "[]"), r"no rkllm_set_function_tools; it comes with 1\.2\.1$"),
    "ranges": ("1.2.0", lambda s: s.clear(ranges=[(0, 1)]), r"no clearing of ranges; it comes with 1\.2\.1$"),
    "pausing": ("1.2.0", lambda s: ask(s, "x", pausable=True), r"no pausing from a callback; it comes with 1\.2\.1$"),
    "roles": ("1.2.0", lambda s: ask(s, "x", role="tool"), r"no role; it comes with 1\.2\.1$"),
    "thinking": ("1.2.0", lambda s: ask(s, "x", thinking=False), r"no enable_thinking; it comes with 1\.2\.1$"),
    "sampling": ("1.2.3", lambda s: ask(s, "x", sampler=Sampler()), r"no sampling_params; it comes with 1\.3\.0"),
    "length": ("1.2.3", lambda s: ask(s, "x", max_new_tokens=1), r"no max_new_tokens; it comes with 1\.3\.0"),
    "pictures": ("1.2.0", lambda s: ask(s, Seen("<image><image>", pictures(2))), "takes one picture a prompt, not 2"),
}


@pytest.mark.parametrize(("version", "call", "why"), LACKING.values(), ids=LACKING)
def test_what_a_release_lacks_is_named_before_the_call(
    version: str, call: Callable[[Session], object], why: str, start: Open
) -> None:
    with pytest.raises(Unsupported, match=why):
        call(start(version))


def test_settings_that_a_release_lacks(start: Open) -> None:
    for version, setting in (
        ("1.1.4", {"n_keep": 1}),
        ("1.2.3", {"ignore_eos_token": True}),
        ("1.2.0", {"n_batch": 1}),
    ):
        with pytest.raises(Unsupported, match=next(iter(setting))):
            start(version, **setting)


@pytest.mark.parametrize("version", RELEASES)
def test_what_the_daemon_does_not_use_is_ready_to_be_used(version: str, start: Open) -> None:
    """Run in the background, asked whether it runs (the answer's sense changed with 1.3.0), cross attention."""
    session = start(version)
    library, abi, handle = session.library, session.library.abi, session._life.handle
    said: list[bytes] = []
    finished = threading.Event()

    def take(result: Any, _userdata: Any, state: int) -> int:
        if state == 0:
            said.append(result.contents.text)
        elif state == 2:
            finished.set()
        return 0

    callback = abi.LLMResultCallback(take)
    param, other = library.defaults(), ctypes.c_void_p()
    param.model_path, param.max_context_len = session.init.model.encode(), 512
    third = ctypes.byref(abi.RKLLMCallback(result_callback=callback)) if version == "1.3.0" else callback
    assert library.rkllm_init(ctypes.byref(other), ctypes.byref(param), third) == 0
    given = abi.RKLLMInput(input_type=0)
    given.prompt_input = b"Who?"
    if abi.has("RKLLMInput", "role"):
        given.role = b"user"
    assert library.rkllm_run_async(other, ctypes.byref(given), ctypes.byref(abi.RKLLMInferParam()), None) == 0
    assert finished.wait(10)
    running = 1 if version == "1.3.0" else 0
    while library.rkllm_is_running(other) == running:  # the end is told before it is over
        time.sleep(0.001)
    assert json.loads(b"".join(said))["role"] == "user"
    assert library.rkllm_is_running(handle) != running
    assert library.rkllm_destroy(other) == 0
    if "rkllm_set_cross_attn_params" in abi.functions:
        assert library.rkllm_set_cross_attn_params(handle, ctypes.byref(abi.RKLLMCrossAttnParam(num_tokens=3))) == 0


@pytest.mark.parametrize("version", RELEASES)
def test_special_tokens_in_a_text_are_stripped_where_the_models_runtime_does_so(
    version: str, built: Path, tmp_path: Path
) -> None:
    for strip in (True, False):
        model = simulator.write_model(tmp_path / "m.rkllm", strip=strip)
        with Session(Library(str(build.library(version, built))), Init(model=str(model), max_context_len=512)) as one:
            assert ("a<|im_end|>b" in report(one, "a<|im_end|>b")["prompt"]) is not strip
