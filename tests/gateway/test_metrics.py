"""/metrics: messages go in, and out comes what Prometheus' own parser reads."""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families as plain

from assistant.checkup.tree import Tree
from assistant.core.figures import BUCKETS_S
from assistant.core.turnfacts import TurnRecord
from assistant.core.vitals import Vitals
from assistant.gateway.errors import Refusal
from assistant.gateway.line import Line
from assistant.gateway.machine import resident_bytes
from assistant.gateway.metrics import Metrics
from assistant.messages import (
    LIVE,
    CameraState,
    DialogueState,
    Heartbeat,
    Interrupt,
    MicrophoneState,
    NpuCost,
    Reason,
    SpeakerState,
    SpeechDropped,
    Turn,
    WakeWord,
)
from tests import boards

S = 1_000_000_000
open_metrics: Callable[[str], Iterable[Metric]] = parser.text_string_to_metric_families


DEVICES = ("main,device=camera", ",device=microphone", ",device=speaker")


class Watch:
    """A gateway's metrics, its clock in hand."""

    def __init__(self, tree: Tree) -> None:
        self.now, self.vitals = 100 * S, Vitals()
        self.metrics = Metrics(self.vitals, lambda: self.now, "1.2.3", tree)

    def beat(self, sender: str, figures: Mapping[str, float], state: Literal["ready", "degraded"] = "ready") -> None:
        beat = Heartbeat(state=state, figures={"pid": os.getpid(), **figures})
        self.vitals.fold(beat, sender, self.now)

    def scrape(self) -> dict[str, float]:
        """``name{label=value,…}`` -> value, as the text format has it."""
        return dict(_samples(self.metrics.render()[0].decode()))


def _samples(text: str) -> Iterator[tuple[str, float]]:
    for family in plain(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            yield (f"{sample.name}{{{labels}}}" if labels else sample.name), sample.value


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(Tree(tmp_path))


def test_a_turn_is_counted_with_its_stages(watch: Watch) -> None:
    costs = {"encode": NpuCost(20.0, 400.0, "dialogue"), "reply": NpuCost(0.0, 2000.0)}
    timings = {"asr": 400.0, "encode": None, "first_token": 1200.0, "first_audio": 1800.0, "reply_end": 31_000.0}
    record = TurnRecord(
        turn=Turn(LIVE, 5),
        heard="a secret question",
        spoken=True,
        finish_reason="interrupted",
        frame_age_ms=80.0,
        prompt_tokens=90,
        cached_tokens=70,
        completion_tokens=5,
        npu=costs,
        wasted_ms=250.0,
        timings_ms=timings,
    )
    watch.metrics.ended(record)
    told = watch.scrape()
    assert told["assistant_turns_total{asker=voice,outcome=interrupted}"] == 1
    assert told["assistant_turns_total{asker=voice,outcome=stop}"] == 0
    assert told["assistant_stage_seconds_sum{stage=asr}"] == pytest.approx(0.4)
    assert told["assistant_stage_seconds_count{stage=encode}"] == 0
    assert told["assistant_stage_seconds_bucket{le=1.0,stage=first_token}"] == 0
    assert told["assistant_stage_seconds_bucket{le=1.5,stage=first_token}"] == 1
    assert told["assistant_first_audio_seconds_bucket{asker=voice,le=2.0}"] == 1
    assert told["assistant_turn_seconds_bucket{asker=voice,le=30.0}"] == 0
    assert told["assistant_turn_seconds_bucket{asker=voice,le=+Inf}"] == 1
    assert told["assistant_picture_age_seconds_sum"] == pytest.approx(0.08)
    assert [told[f"assistant_tokens_total{{kind={kind}}}"] for kind in ("computed", "cached", "generated")] == [
        20,
        70,
        5,
    ]
    assert told["assistant_npu_wait_seconds_sum{job=encode}"] == pytest.approx(0.02)
    assert told["assistant_npu_hold_seconds_sum{job=reply}"] == pytest.approx(2.0)
    assert told["assistant_wasted_work_seconds_total"] == pytest.approx(0.25)
    assert "secret" not in str(told)


def test_messages_are_counted(watch: Watch) -> None:
    for why in ("muted", "too short", "another language: fr", "another language: de", "?"):
        watch.metrics.fold(SpeechDropped(turn=Turn(LIVE, 1), stream="s", why=why))
    watch.metrics.fold(Interrupt(before=1))
    watch.metrics.fold(WakeWord(phrase="hey assistant", at=1, score=1.0, stream="s"))
    told = watch.scrape()
    assert told["assistant_speech_dropped_total{why=another_language}"] == 2
    assert told["assistant_speech_dropped_total{why=other}"] == 1
    assert (told["assistant_interrupts_total"], told["assistant_wake_words_total"]) == (1, 1)


def test_heartbeats_tell_of_processes_and_of_what_flows(watch: Watch) -> None:
    watch.beat("camera", {"cpu_s": 1.5, "bus_gaps": 2, "bus_refused": 1, "frames.main": 40, "frames.front door": 9})
    watch.beat("camera", {"cpu_s": 2.5, "bus_gaps": 2, "bus_refused": 1, "frames.main": 50, "frames.front door": 9})
    watch.beat("microphone", {"heard_s": 7.25, "overruns": 1})
    watch.beat("speaker", {"played_s": 3.5, "underruns": 2}, "degraded")
    watch.beat(
        "dialogue", {"npu_celsius": 61.5, "llm_memory_mb": 512, "wasted_ms": 1500, "spare_npu": 0, "embedding_width": 4}
    )
    told = watch.scrape()
    assert told["assistant_process_cpu_seconds_total{service=camera}"] == 2.5
    assert told["assistant_process_resident_memory_bytes{service=camera}"] == pytest.approx(
        resident_bytes(os.getpid()), rel=0.5
    )
    assert told["assistant_bus_gaps_total{service=camera}"] == 2
    assert told["assistant_bus_refused_total{service=camera}"] == 1
    assert told["assistant_camera_frames_total{camera=front door}"] == 9
    assert told["assistant_microphone_audio_seconds_total"] == 7.25
    assert told["assistant_microphone_overruns_total"] == 1
    assert told["assistant_speaker_audio_seconds_total"] == 3.5
    assert told["assistant_speaker_underruns_total"] == 2
    assert told["assistant_npu_temperature_celsius"] == 61.5
    assert told["assistant_llm_memory_bytes"] == 512 * 2**20
    assert told["assistant_unanswered_speech_work_seconds_total"] == 1.5
    assert told["assistant_service_up{service=speaker}"] == 1
    assert told["assistant_service_state{service=speaker,state=degraded}"] == 1
    assert told["assistant_service_state{service=speaker,state=ready}"] == 0
    assert not any("width" in name or "spare" in name for name in told)


def test_a_service_that_fell_silent_is_down_and_its_figures_end(watch: Watch) -> None:
    watch.beat("vision", {"cpu_s": 1.0})
    watch.now += 60 * S
    watch.beat("vision", {"cpu_s": 0.1, "pid": os.getppid()})
    watch.beat("camera", {"cpu_s": 3.0})
    watch.now += 9 * S
    watch.beat("camera", {"cpu_s": 3.0})
    watch.now += 5 * S
    told = watch.scrape()
    assert told["assistant_service_up{service=vision}"] == 0
    assert told["assistant_service_restarts_total{service=vision}"] == 1
    assert told["assistant_service_up{service=camera}"] == 1
    assert "assistant_process_cpu_seconds_total{service=vision}" not in told
    assert "assistant_process_cpu_seconds_total{service=camera}" in told


def test_devices_and_the_context(watch: Watch) -> None:
    fold = watch.vitals.fold
    fold(CameraState(camera="main", state="muted", called=("main",)), "camera", 1)
    fold(CameraState(camera="upload-7", state="live"), "camera", 1)
    fold(MicrophoneState(state="lost"), "microphone", 1)
    fold(SpeakerState(volume=0.5, muted=True), "speaker", 1)
    watch.beat("speaker", {"open": 1.0})
    state = DialogueState(persona="plain", language="en", picture="fresh", model="pico", context=2048, used=512)
    fold(state, "dialogue", 1)
    told = watch.scrape()
    live = {name: told[f"assistant_device_live{{camera={name}}}"] for name in DEVICES}
    muted = {name: told[f"assistant_device_muted{{camera={name}}}"] for name in DEVICES}
    assert list(live.values()) == [0, 0, 1]
    assert list(muted.values()) == [1, 0, 1]
    assert (told["assistant_context_tokens"], told["assistant_context_used_tokens"]) == (2048, 512)
    assert not any("upload" in name for name in told)


def test_the_kernel_is_asked_for_the_npu_where_there_is_one(tmp_path: Path) -> None:
    pc = Watch(Tree(tmp_path / "pc")).scrape()
    assert not any("npu_load" in name or "npu_frequency" in name for name in pc)
    tree = boards.Tree(tmp_path / "board", boards.RK3588)
    tree.put("/proc/rknpu/load", "NPU load:  Core0: 25%, Core1:  0%, Core2: 100%,\n")
    tree.put("/sys/class/devfreq/fdab0000.npu/cur_freq", "1000000000\n")
    told = Watch(Tree(tree.root)).scrape()
    assert [told[f"assistant_npu_load_ratio{{core={core}}}"] for core in range(3)] == [0.25, 0.0, 1.0]
    assert told["assistant_npu_frequency_hertz"] == 1e9
    tree.put("/proc/rknpu/load", "NPU load: 429496%\n")  # drivers have been seen to
    assert not any("npu_load" in name for name in Watch(Tree(tree.root)).scrape())


def test_what_has_not_happened_yet_is_told_as_none(watch: Watch) -> None:
    told = watch.scrape()
    assert {f"assistant_turns_total{{asker=voice,outcome={reason}}}" for reason in get_args(Reason)} <= set(told)
    assert len([name for name in told if name.startswith("assistant_stage_seconds_bucket{")]) == 7 * (
        len(BUCKETS_S) + 1
    )
    assert told["assistant_build_info{version=1.2.3}"] == 1


def test_both_formats_are_read_by_their_parsers(watch: Watch) -> None:
    watch.beat("camera", {"cpu_s": 1.5, "frames.main": 40})
    text, kind = watch.metrics.render("application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    families = {family.name: family for family in open_metrics(text.decode())}
    assert families["assistant_camera_frames"].type == "counter"
    text, kind = watch.metrics.render("*/*")
    assert kind.startswith("text/plain")
    for family in plain(text.decode()):
        assert family.documentation, family.name
        assert family.name.startswith("assistant_")
    assert "_created" not in text.decode()


@settings(max_examples=25)
@given(st.lists(st.tuples(st.text(max_size=8), st.sampled_from(["web-", "api-", LIVE])), max_size=30))
def test_no_text_and_no_client_makes_a_series(told: list[tuple[str, str]]) -> None:
    """However many clients ask, and whatever they say: as many series as before."""
    watch = Watch(Tree(Path("/nonexistent")))
    before = set(watch.scrape())
    for number, (text, conversation) in enumerate(told):
        watch.metrics.fold(SpeechDropped(turn=Turn(conversation, number), stream=text, why=text))
        turn = Turn(f"{conversation}{text}", number)
        watch.metrics.ended(TurnRecord(turn=turn, heard=text, answer=text, camera=text, finish_reason="stop"))
        watch.vitals.fold(Heartbeat(state="ready", figures={"pid": 1.0}), text, watch.now)
    assert set(watch.scrape()) == before


def test_a_process_that_is_gone_has_no_memory(tmp_path: Path) -> None:
    assert (resident_bytes(os.getpid()) or 0) > 1_000_000
    assert resident_bytes(2**22 + 5) is None
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "statm").write_text("torn")
    assert resident_bytes(7, tmp_path) is None


def test_a_queue_tells_who_waits_and_who_was_refused(watch: Watch) -> None:
    line = Line(1, 60.0)
    watch.metrics.queue("model", line)

    async def crowd() -> dict[str, float]:
        entered, go = asyncio.Event(), asyncio.Event()

        async def ask(client: str) -> None:
            async with line.turn(client):
                entered.set()
                await go.wait()

        first = asyncio.ensure_future(ask("a"))
        await entered.wait()
        second = asyncio.ensure_future(ask("b"))
        while not line.waiting:
            await asyncio.sleep(0)
        with pytest.raises(Refusal, match="wait for the model already"):
            await ask("c")
        told = watch.scrape()
        go.set()
        await asyncio.gather(first, second)
        return told

    told = asyncio.run(crowd())
    assert told["assistant_queue_waiting{queue=model}"] == 1
    assert told["assistant_queue_refused_total{queue=model}"] == 1
    after = watch.scrape()
    assert after["assistant_queue_waiting{queue=model}"] == 0
    assert after["assistant_queue_wait_seconds_count{queue=model}"] == 2
    assert after["assistant_queue_refused_total{queue=synthesis}"] == 0
