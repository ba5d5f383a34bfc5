"""What is counted for /metrics, and the words that its labels may hold: never a text, a turn or a client's name."""

from typing import Literal

import msgspec

from assistant.core.turnfacts import TurnRecord
from assistant.messages import LIVE

# Upper bounds, s: from what a stage costs that has nothing to do, to a long answer of a slow board.
BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0)
# Those of a record's timings that are a stage's own; first_audio and reply_end are the whole way.
STAGES = ("endpoint", "asr", "encode", "prefill", "first_token", "decode", "tts_first_audio")
ASKERS = ("voice", "keyboard", "program")
HEARERS = ASKERS[:2]  # those whose reply is spoken
TOKENS = ("computed", "cached", "generated")
OTHER = "other"

# What why speech opened no turn is counted as, by a part of the words; the first that fits.
_DROPPED = (
    ("muted", "muted"),
    ("during a reply", "during_reply"),
    ("too short", "too_short"),
    ("too many streams", "too_many_streams"),
    ("too late", "too_late"),
    ("lost", "no_sound"),
    ("no sound", "no_sound"),
    ("nothing can be heard", "no_sound"),
    ("another language", "another_language"),
    ("recognition failed", "failed"),
    ("begun anew", "begun_anew"),
    ("nothing followed", "nothing_followed"),
    ("wake word", "not_called"),
    ("button was not pressed", "not_called"),
    ("thank-you", "closed"),
    ("not for the assistant", "not_called"),
    ("not understood", "not_understood"),
    ("nothing understood", "not_understood"),
    ("silence", "not_understood"),
    ("noise", "not_understood"),
    ("echo", "echo"),
    ("repetition", "not_understood"),
)
DROPPED = (*dict.fromkeys(label for _, label in _DROPPED), OTHER)


class Figure(msgspec.Struct, frozen=True):
    """One of a heartbeat's figures as a metric of the service that sent it."""

    name: str
    help: str
    kind: Literal["counter", "gauge"] = "counter"
    scale: float = 1.0  # to the metric's unit
    label: str = ""  # what stands behind the figure's dot; "": it has none


# By the figure's name up to its dot. What is a service's own alone has no label that names it.
FIGURES = {
    "cpu_s": Figure("assistant_process_cpu_seconds", "Processor time of a service's process.", label="service"),
    "bus_gaps": Figure("assistant_bus_gaps", "Messages to a service that never arrived.", label="service"),
    "bus_refused": Figure("assistant_bus_refused", "Messages that a service could not read.", label="service"),
    "frames": Figure("assistant_camera_frames", "Pictures that a camera has shown.", label="camera"),
    "fps": Figure("assistant_camera_wanted_hertz", "Pictures a second it is to show.", "gauge", label="camera"),
    "heard_s": Figure("assistant_microphone_audio_seconds", "Sound that has come in, of all streams."),
    "overruns": Figure("assistant_microphone_overruns", "Times that sound from the microphone was lost."),
    "played_s": Figure("assistant_speaker_audio_seconds", "Sound that was played."),
    "underruns": Figure("assistant_speaker_underruns", "Times that the speaker had to wait for sound."),
    "wasted_ms": Figure(
        "assistant_unanswered_speech_work_seconds", "Model work on speech of which nothing came.", scale=0.001
    ),
    "llm_memory_mb": Figure("assistant_llm_memory_bytes", "Peak memory of the model's runtime.", "gauge", 1 << 20),
    "npu_celsius": Figure("assistant_npu_temperature_celsius", "The NPU's temperature.", "gauge"),
}  # fmt: skip


def dropped(why: str) -> str:
    """Why speech opened no turn, as one of DROPPED."""
    return next((label for words, label in _DROPPED if words in why), OTHER)


def asker(record: TurnRecord) -> Literal["voice", "keyboard", "program"]:
    """Who asked: somebody aloud, somebody who typed into the spoken conversation, or a client in one of its own."""
    if record.turn.conversation != LIVE:
        return "program"
    return "voice" if record.spoken else "keyboard"


def tokens(record: TurnRecord) -> dict[str, int]:
    """Of the language model for this turn, by what became of them."""
    return {
        "computed": max(0, record.prompt_tokens - record.cached_tokens),
        "cached": record.cached_tokens,
        "generated": record.completion_tokens,
    }


def split(figure: str) -> tuple[str, str]:
    """A heartbeat's figure as its name and what it is of: "frames.door"."""
    name, _, whose = figure.partition(".")
    return name, whose
