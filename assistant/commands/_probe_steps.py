"""What ``assistant probe`` tries on a board: each step loads the model in a process of its own."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from assistant.commands._cpu_process import peak_mb
from assistant.core import probing
from assistant.core.probing import Conclusion, Prefill, Verdict
from pipelines import engine
from pipelines.llm import rkllm
from pipelines.llm.librkllm import IMAGE, Input, Outcome, Run, Seen, Session, Text
from pipelines.npu.lock import Npu, Rank

REPLY = 64  # tokens of a reply at most
TARGET_MS = 800.0  # how long the prompt of an aborted run should take
EARLY = 0.25  # when of that time it is aborted
ROUNDS = 4  # pictures, and replies, of the two libraries together
MEET_S = 120.0  # for which the one waits until the other is loaded
SENTENCE = "The old harbour has {} boats, a stone wall and a small house with a green door. "
COLOUR = "Which colour fills this picture? Answer with one word."
COUNT = "Count slowly from one to one hundred, in words."
RED, BLUE = (200, 30, 30), (30, 30, 200)


class Subject(msgspec.Struct, frozen=True):
    """What is probed. ``folder``: the probe's own, for the encoder's rows and the steps' locks."""

    llm: dict[str, Any]  # options of the rkllm engine
    vision: dict[str, Any] | None  # of the rknn engine; None: without
    folder: str


class Finding(msgspec.Struct):
    """``conclusion``: the answer to ``question``."""

    name: str
    question: str
    done: str
    seen: dict[str, Any]
    conclusion: Conclusion
    why: str = ""


QUESTIONS = {
    "load": "does the model load and answer?",
    "encoder": "does the image encoder load and give rows?",
    "text_reuse": "is a prompt's beginning that is in the cache used again?",
    "picture_reuse": "is it used again past a picture?",
    "history": "with the history kept, is only the new turn computed, also behind a picture?",
    "second_picture": "is a second picture answered as the first (rknn-llm #257)?",
    "abort_prefill": "is an abort seen while the prompt is computed (#400)?",
    "abort_decode": "is an abort seen while a reply is made?",
    "turns": "do RKNN and RKLLM work in two processes that take turns?",
    "beside": "do RKNN and RKLLM work at the same time (#315)?",
}


def finding(name: str, done: str, verdict: Verdict, **seen: Any) -> Finding:
    return Finding(name, QUESTIONS[name], done, seen, verdict.conclusion, verdict.why)


# --- the runtime ---


@contextlib.contextmanager
def _opened(subject: Subject) -> Iterator[Session]:
    os.environ.setdefault("RKLLM_LOG_LEVEL", "1")  # it then prints its version and the driver's
    options = engine.options("llm", "rkllm", {**subject.llm, "max_new_tokens": REPLY})
    assert isinstance(options, rkllm.Options)
    with rkllm.bare(options) as session:
        yield session


def _clear(session: Session) -> None:
    if "rkllm_clear_kv_cache" in session.library.abi.functions:
        session.clear(keep_system=False)


def _said(session: Session, given: Input, keep_history: bool = False) -> tuple[str, Outcome]:
    pieces: list[str] = []
    outcome = session.run(given, lambda text, _: pieces.append(text), Run(keep_history=keep_history))
    return "".join(pieces).strip(), outcome


def _prefill(outcome: Outcome) -> Prefill:
    return Prefill(outcome.figures.prefill_tokens, round(outcome.figures.prefill_ms, 1))


def _first_token(session: Session, given: Input) -> float:
    """ms until the first token; the run is left there."""
    began, taken = time.perf_counter(), list[float]()

    def sink(_text: str, _token: int) -> None:
        taken.append((time.perf_counter() - began) * 1000)
        session.abort()

    session.run(given, sink)
    return taken[0] if taken else (time.perf_counter() - began) * 1000


def _long(words: int, seed: int) -> Text:
    """A text of about so many words; those of two seeds differ from the first word on."""
    count = words // 16 + 1
    return Text(f"Text {seed}. " + "".join(SENTENCE.format(seed * 100 + line) for line in range(count)) + "Sum it up.")


def load(subject: Subject) -> Iterator[Finding]:
    began = time.perf_counter()
    with _opened(subject) as session:
        load_s = time.perf_counter() - began
        first_ms = _first_token(session, Text("Say hello."))
        said, outcome = _said(session, Text(COUNT))
        figures = outcome.figures
        rate = figures.decode_tokens / figures.decode_ms * 1000 if figures.decode_ms > 0 else 0.0
        yield finding(
            "load",
            "loaded it, asked for a greeting, asked it to count",
            Verdict("yes" if said else "unclear", f"loaded in {load_s:.1f} s, first token after {first_ms:.0f} ms"),
            library=session.library.release,
            load_s=round(load_s, 2),
            first_token_ms=round(first_ms, 1),
            tokens=figures.decode_tokens,
            tokens_per_s=round(rate, 1),
            peak_mb=peak_mb(),
        )


def reuse(subject: Subject) -> Iterator[Finding]:
    with _opened(subject) as session:
        _clear(session)
        beginning = "".join(SENTENCE.format(line) for line in range(6))
        first = _prefill(_said(session, Text(beginning + "Who lives there?"))[1])
        second = _prefill(_said(session, Text(beginning + "What is green?"))[1])
        done = "two prompts one after the other, without history, of which only the end differs"
        yield finding("text_reuse", done, probing.reuse(first, second), first=first._asdict(), second=second._asdict())
        if (rows := _rows(subject, session, 0)) is None:
            return
        _clear(session)
        first = _prefill(_said(session, Seen(IMAGE + COLOUR, rows))[1])
        second = _prefill(_said(session, Seen(IMAGE + "What do you see?", rows))[1])
        done = "two questions about one picture, each with the picture, without history"
        yield finding(
            "picture_reuse",
            done,
            probing.reuse(first, second, rows.shape[1]),
            first=first._asdict(),
            second=second._asdict(),
        )
        if not _keeps(session):
            yield _no_history("history", session)
            return
        _clear(session)
        first = _prefill(_said(session, Seen(IMAGE + COLOUR, rows), keep_history=True)[1])
        second = _prefill(_said(session, Text("What else?"), keep_history=True)[1])
        done = "a question with a picture, then one without, with the history kept"
        yield finding(
            "history", done, probing.reuse(first, second, rows.shape[1]), first=first._asdict(), second=second._asdict()
        )


def second_picture(subject: Subject) -> Iterator[Finding]:
    with _opened(subject) as session:
        one, two = _rows(subject, session, 0), _rows(subject, session, 1)
        if one is None or two is None:
            return
        if not _keeps(session):
            yield _no_history("second_picture", session)
            return
        alone = []
        for rows in (one, two):
            _clear(session)
            alone.append(_said(session, Seen(IMAGE + COLOUR, rows), keep_history=True)[0])
        _clear(session)
        _said(session, Seen(IMAGE + COLOUR, one), keep_history=True)
        behind = _said(session, Seen(IMAGE + COLOUR, two), keep_history=True)[0]
        done = "the colour of a red and of a blue picture, each alone; then one behind the other with the history kept"
        if subject.vision is None:
            done = "the same with rows that are no pictures: name an encoder for more"
        yield finding("second_picture", done, probing.stale(alone[0], alone[1], behind), alone=alone, behind=behind)


def aborts(subject: Subject) -> Iterator[Finding]:
    with _opened(subject) as session:
        _clear(session)
        per_word = _first_token(session, _long(64, 1)) / 64
        words = int(min(TARGET_MS / max(per_word, 0.001), session.init.max_context_len * 0.4))
        _clear(session)
        whole_ms = _first_token(session, _long(words, 2))
        _clear(session)
        at_ms = whole_ms * EARLY
        lag_ms = _aborted(session, _long(words, 3), lambda begun: time.sleep(at_ms / 1000))
        yield finding(
            "abort_prefill",
            f"aborted a run when {EARLY:.0%} of its prompt's time had passed",
            probing.abort(lag_ms, whole_ms - at_ms),
            prefill_ms=round(whole_ms, 1),
            at_ms=round(at_ms, 1),
            lag_ms=round(lag_ms, 1),
        )
        _clear(session)
        _, outcome = _said(session, Text(COUNT))
        _clear(session)
        lag_ms = _aborted(session, Text(COUNT), lambda begun: begun.wait(MEET_S))
        yield finding(
            "abort_decode",
            "aborted a run at its first token",
            probing.abort(lag_ms, outcome.figures.decode_ms),
            decode_ms=round(outcome.figures.decode_ms, 1),
            lag_ms=round(lag_ms, 1),
        )


def _aborted(session: Session, given: Input, wait: Callable[[threading.Event], object]) -> float:
    """ms from the abort, which another thread says after ``wait(event of the first token)``, to the run's end."""
    begun, ended = threading.Event(), list[float]()

    def run() -> None:
        session.run(given, lambda *_: begun.set())
        ended.append(time.perf_counter())

    thread = threading.Thread(target=run)
    thread.start()
    wait(begun)
    aborted = time.perf_counter()
    session.abort()
    thread.join()
    return max(0.0, (ended[0] - aborted) * 1000) if ended else 0.0


def _keeps(session: Session) -> bool:
    return session.library.abi.has("RKLLMInferParam", "keep_history")


def _no_history(name: str, session: Session) -> Finding:
    return finding(name, "nothing", Verdict("skipped", f"RKLLM {session.library.release} keeps no history"))


# --- pictures ---


def _rows(subject: Subject, session: Session, number: int) -> NDArray[np.float32] | None:
    """[1, tokens, width]: of the encoder's red (0) or blue (1) picture, or made up; None where none can be shown."""
    saved = Path(subject.folder) / f"rows-{number}.npy"
    if saved.exists():
        return np.asarray(np.load(saved)[np.newaxis], np.float32)
    width = session.init.row_width
    if width is None:
        return None
    return np.random.default_rng(number).standard_normal((1, 64, width)).astype(np.float32)


def _picture(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((240, 240, 3), colour, np.uint8)


def encoder(subject: Subject) -> Iterator[Finding]:
    assert subject.vision is not None
    began = time.perf_counter()
    encodes: Any = engine.load("vision", "rknn", {**subject.vision, "npu": f"{subject.folder}/npu"})
    load_s = time.perf_counter() - began
    took = []
    for number, colour in enumerate((RED, BLUE)):
        began = time.perf_counter()
        rows = encodes.encode(_picture(colour)).rows
        took.append(time.perf_counter() - began)
        np.save(Path(subject.folder) / f"rows-{number}.npy", rows)
    sdk = encodes._rknn.get_sdk_version()
    encodes.close()
    yield finding(
        "encoder",
        "loaded it, encoded a red and a blue picture",
        Verdict("yes", f"loaded in {load_s:.1f} s, {min(took):.2f} s a picture"),
        load_s=round(load_s, 2),
        encode_s=round(min(took), 3),
        tokens=rows.shape[0],
        width=rows.shape[1],
        sdk=sdk,
        peak_mb=peak_mb(),
    )


# --- both libraries ---


def encode_together(subject: Subject, lock: str) -> Iterator[dict[str, Any]]:
    """ROUNDS pictures, each the same rows as before; ``lock``: the folder of the NPU's lock."""
    assert subject.vision is not None
    encodes: Any = engine.load("vision", "rknn", {**subject.vision, "npu": lock})
    expected = np.load(Path(subject.folder) / "rows-0.npy")
    _meet(subject, "vision", "llm")
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        rows = encodes.encode(_picture(RED)).rows
        took.append(round(time.perf_counter() - began, 3))
        if not np.allclose(rows, expected, rtol=0.02, atol=0.02):
            raise engine.EngineError("the same picture gave other rows than when the encoder was alone")
    encodes.close()
    yield {"encode_s": took}


def reply_together(subject: Subject, lock: str) -> Iterator[dict[str, Any]]:
    with _opened(subject) as session:
        _meet(subject, "llm", "vision")
        npu, rates = Npu("llm", Path(lock)), []
        for _ in range(ROUNDS):
            with npu.hold(Rank.USER_WAITS, MEET_S):
                said, outcome = _said(session, Text(COUNT))
            if not said:
                raise engine.EngineError("the language model gave an empty reply")
            figures = outcome.figures
            rates.append(round(figures.decode_tokens / max(figures.decode_ms, 0.001) * 1000, 1))
    yield {"tokens_per_s": rates}


def _meet(subject: Subject, me: str, other: str) -> None:
    """Both are loaded, and begin. Goes on where the other died: what became of it is told by its own step."""
    (Path(subject.folder) / f"loaded-{me}").touch()
    deadline = time.monotonic() + MEET_S
    while not (Path(subject.folder) / f"loaded-{other}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
