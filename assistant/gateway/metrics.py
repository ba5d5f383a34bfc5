"""/metrics: what the daemon has done and how it is, folded from what crosses the bus, for Prometheus.

Counts begin with the gateway's own process; those that services count themselves (frames, processor time) with theirs.
A label holds one of a few words, or the name of a service or a configured camera: see assistant.core.figures.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from assistant.checkup.tree import Tree
from assistant.core import figures
from assistant.core.figures import BUCKETS_S, DROPPED, FIGURES, STAGES
from assistant.core.readiness import SILENT_S
from assistant.core.turnfacts import TurnRecord
from assistant.core.vitals import Beat, Vitals
from assistant.gateway import machine
from assistant.gateway.line import Line
from assistant.messages import SERVICES, Interrupt, Message, Reason, SpeechDropped, WakeWord

STATES = ("starting", "ready", "degraded", "stopping")
JOBS = ("encode", "reply")  # of the NPU
CONNECTIONS = ("http", "websocket")
QUEUES = ("model", "recognition", "synthesis")  # of programs


class Metrics:
    """Give it every message (``fold``) and every turn that is over (``ended``); ``render`` is what is scraped."""

    def __init__(self, vitals: Vitals, clock: Callable[[], int], version: str, tree: Tree | None = None) -> None:
        """``clock``: ns, as the messages'. ``tree``: where the kernel's files lie; None: this machine's."""
        self.registry = Registry()
        by_asker = {"asker": figures.ASKERS}
        self._turns = self._counter(
            "turns", "Questions, by how the answer ended.", outcome=get_args(Reason), **by_asker
        )
        self._stages = self._histogram("stage_seconds", "What a stage of a turn took.", stage=STAGES)
        self._first_audio = self._histogram(
            "first_audio_seconds", "From the question's end to the reply's first sample.", asker=figures.HEARERS
        )
        self._whole = self._histogram(
            "turn_seconds", "From the question's end to the end of the reply, as it was heard or read.", **by_asker
        )
        self._age = self._histogram("picture_age_seconds", "Age of the picture at the end of its question.")
        self._tokens = self._counter(
            "tokens", "Tokens of the language model, by what became of them.", kind=figures.TOKENS
        )
        self._wasted = self._counter("wasted_work_seconds", "Model work for a question that its answer did not use.")
        self._npu_wait = self._histogram("npu_wait_seconds", "How long a job waited for the NPU.", job=JOBS)
        self._npu_hold = self._histogram("npu_hold_seconds", "How long a job had the NPU.", job=JOBS)
        self._dropped = self._counter("speech_dropped", "Speech that opened no turn, by why.", why=DROPPED)
        self._interrupts = self._counter("interrupts", "Replies that were broken off by voice or button.")
        self._woken = self._counter("wake_words", "Times that the assistant was called by its wake word.")
        self._answered = self._counter(
            "http_requests", "What the gateway was asked, by its route and status (101: a socket).", route=(), status=()
        )
        self._open = Gauge(
            "assistant_http_open_requests", "Requests and sockets that are open.", ("kind",), registry=self.registry
        )
        for kind in CONNECTIONS:
            self._open.labels(kind)
        self._waiting = Gauge(
            "assistant_queue_waiting", "Requests that wait in a queue.", ("queue",), registry=self.registry
        )
        self._waited = self._histogram("queue_wait_seconds", "How long a request waited in its queue.", queue=QUEUES)
        self._refused = self._counter("queue_refused", "Requests for which a queue had no place.", queue=QUEUES)
        self._slow = self._counter("slow_clients_dropped", "Clients that were too slow for what they followed.")
        self._slow_told = 0
        self.registry.register(Vital(vitals, clock, version, tree or Tree()))

    def fold(self, message: Message) -> None:
        match message:
            case SpeechDropped(why=why):
                self._dropped.labels(figures.dropped(why)).inc()
            case Interrupt():
                self._interrupts.inc()
            case WakeWord():
                self._woken.inc()

    def ended(self, record: TurnRecord) -> None:
        """A turn is over; ``record`` is the ledger's."""
        asker = figures.asker(record)
        self._turns.labels(record.finish_reason or "lost", asker).inc()
        for stage in STAGES:
            if (took := record.timings_ms.get(stage)) is not None:
                self._stages.labels(stage).observe(took / 1000)
        for histogram, name in ((self._first_audio, "first_audio"), (self._whole, "reply_end")):
            if (took := record.timings_ms.get(name)) is not None:
                histogram.labels(asker).observe(took / 1000)
        if record.frame_age_ms is not None:
            self._age.observe(record.frame_age_ms / 1000)
        for kind, count in figures.tokens(record).items():
            self._tokens.labels(kind).inc(count)
        self._wasted.inc(max(0.0, record.wasted_ms) / 1000)
        for job, cost in record.npu.items():
            self._npu_wait.labels(job).observe(cost.wait_ms / 1000)
            self._npu_hold.labels(job).observe(cost.hold_ms / 1000)

    def queue(self, name: str, line: Line) -> None:
        """Watch a queue from now on; ``name``: of QUEUES."""

        def noted(wait_s: float | None) -> None:
            if wait_s is None:
                self._refused.labels(name).inc()
            else:
                self._waited.labels(name).observe(wait_s)

        self._waiting.labels(name).set_function(lambda: line.waiting)
        line.noted = noted

    def opened(self, kind: str) -> None:
        """A request came ("http"), or a socket ("websocket")."""
        self._open.labels(kind).inc()

    def answered(self, route: str, status: int) -> None:
        """``route``: a path of the table, or one word for all others."""
        self._answered.labels(route, str(status)).inc()

    def closed(self, kind: str) -> None:
        self._open.labels(kind).dec()

    def dropped_clients(self, total: int) -> None:
        """How many clients were too slow, in all."""
        self._slow.inc(total - self._slow_told)
        self._slow_told = total

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition in the form that an Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _counter(self, name: str, told: str, **labels: Sequence[str]) -> Counter:
        """``labels``: the words that each may hold. What has not happened yet is told as 0: its rate is then known
        from the first time on."""
        counter = Counter(f"assistant_{name}", told, tuple(labels), registry=self.registry)
        for words in itertools.product(*labels.values()) if labels else ():
            counter.labels(*words)
        return counter

    def _histogram(self, name: str, told: str, **labels: Sequence[str]) -> Histogram:
        histogram = Histogram(f"assistant_{name}", told, tuple(labels), registry=self.registry, buckets=BUCKETS_S)
        for words in itertools.product(*labels.values()) if labels else ():
            histogram.labels(*words)
        return histogram


class Registry(CollectorRegistry):
    """Without the library's ``_created`` series: when each counter began is no figure, and doubles what is sent."""

    def collect(self) -> Iterator[Metric]:
        for metric in super().collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class Vital:
    """What stands now: read from the newest messages and the kernel's files when it is asked for."""

    def __init__(self, vitals: Vitals, clock: Callable[[], int], version: str, tree: Tree) -> None:
        self._vitals, self._clock, self._version, self._tree = vitals, clock, version, tree

    def collect(self) -> Iterator[Metric]:
        beats = dict(self._vitals.beats)
        yield InfoMetricFamily("assistant_build", "What runs here.", {"version": self._version})
        yield from self._services(beats)
        yield from _figures({name: beat for name, beat in beats.items() if self._fresh(beat)})
        yield from self._devices()
        yield from self._context()
        yield from self._npu()

    def _fresh(self, beat: Beat) -> bool:
        return self._clock() - beat.at <= SILENT_S * 1e9

    def _services(self, beats: dict[str, Beat]) -> Iterator[Metric]:
        up = GaugeMetricFamily("assistant_service_up", "Whether a service works: 1, or 0.", labels=("service",))
        state = GaugeMetricFamily(
            "assistant_service_state", "How a service is: 1 for its state, 0 for others.", labels=("service", "state")
        )
        memory = GaugeMetricFamily(
            "assistant_process_resident_memory_bytes", "Memory of a service's process.", labels=("service",)
        )
        restarts = CounterMetricFamily(
            "assistant_service_restarts", "Times that a service was started again.", labels=("service",)
        )
        for name, beat in beats.items():
            fresh = self._fresh(beat)
            up.add_metric((name,), float(fresh and beat.told.state in ("ready", "degraded")))
            for one in STATES:
                state.add_metric((name, one), float(fresh and beat.told.state == one))
            restarts.add_metric((name,), self._vitals.restarts[name])
            size = machine.resident_bytes(int(beat.told.figures.get("pid", 0))) if fresh else None
            if size is not None:
                memory.add_metric((name,), size)
        yield from (up, state, memory, restarts)

    def _devices(self) -> Iterator[Metric]:
        labels = ("device", "camera")  # which camera; "" of other devices
        live = GaugeMetricFamily("assistant_device_live", "Whether a device is open: 1, or 0.", labels=labels)
        muted = GaugeMetricFamily("assistant_device_muted", "Whether a device is muted: 1, or 0.", labels=labels)
        states: dict[tuple[str, str], str] = {
            ("camera", name): camera.state for name, camera in self._vitals.cameras.items()
        }
        if self._vitals.microphone is not None:
            states["microphone", ""] = self._vitals.microphone.state
        for device, told in states.items():
            live.add_metric(device, float(told in ("live", "bus")))
            muted.add_metric(device, float(told == "muted"))
        if (speaker := self._vitals.speaker) is not None:
            muted.add_metric(("speaker", ""), float(speaker.muted))
        if (beat := self._vitals.beats.get("speaker")) is not None and "open" in beat.told.figures:
            live.add_metric(("speaker", ""), beat.told.figures["open"])
        yield from (live, muted)

    def _context(self) -> Iterator[Metric]:
        context = GaugeMetricFamily("assistant_context_tokens", "Tokens that prompt and reply may have together.")
        used = GaugeMetricFamily(
            "assistant_context_used_tokens", "Of these, those of the spoken conversation in the KV cache."
        )
        if (dialogue := self._vitals.dialogue) is not None:
            context.add_metric((), dialogue.context)
            used.add_metric((), dialogue.used)
        yield from (context, used)

    def _npu(self) -> Iterator[Metric]:
        load = GaugeMetricFamily("assistant_npu_load_ratio", "How busy a core of the NPU is, 0 to 1.", labels=("core",))
        for core, ratio in enumerate(machine.npu_load(self._tree)):
            load.add_metric((str(core),), ratio)
        clock = GaugeMetricFamily("assistant_npu_frequency_hertz", "The NPU's clock.")
        if (hertz := machine.npu_hertz(self._tree)) is not None:
            clock.add_metric((), hertz)
        yield from (load, clock)


def _figures(beats: dict[str, Beat]) -> Iterator[Metric]:
    """What services count themselves."""
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for name, figure in FIGURES.items():
        family = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
        families[name] = family(figure.name, figure.help, labels=(figure.label,) if figure.label else ())
    for service in (service for service in SERVICES if service in beats):
        for key, value in beats[service].told.figures.items():
            name, whose = figures.split(key)
            if name in families:
                label = service if FIGURES[name].label == "service" else whose
                families[name].add_metric((label,) if FIGURES[name].label else (), value * FIGURES[name].scale)
    yield from families.values()
