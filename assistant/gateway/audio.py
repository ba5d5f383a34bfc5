"""OpenAI's API for sound: /v1/audio/transcriptions and /v1/audio/speech.

There is one recognizer and one voice, so whatever model and voice are named mean these. Uploads are decoded in memory
and kept nowhere. Source: OpenAI's API reference, audio.
"""

import asyncio
import functools
import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from assistant.core.cuts import cuts
from assistant.core.reply import Reply
from assistant.core.sentences import language as language_of
from assistant.gateway import chat
from assistant.gateway.errors import Refusal
from assistant.gateway.following import Following
from assistant.gateway.routes import Gate, Route, read
from assistant.gateway.settings import Limits
from assistant.gateway.telling import Telling, Whole
from assistant.messages import Message, Synthesize, Synthesized, Transcribe, Transcript
from assistant.wire import Received
from pipelines.audio import AudioError, files, wav
from pipelines.audio.resample import SPEECH_RATE, Converter

PCM_RATE = 24_000  # Hz, of the API's raw PCM
INPUT = 4096  # characters, as the API allows
PIECE = 300  # of these at a time, where there is no sentence's end
STEP_S = 0.1  # in which it is looked for pauses
Written = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
TEXTS = ("json", "text", "verbose_json")
MEDIA = {"wav": "audio/wav", "pcm": "audio/pcm", "mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac"}
MEDIA["flac"] = "audio/flac"
_numbers = itertools.count(1)


class SpeechRequest(msgspec.Struct, frozen=True):
    """The body of POST /v1/audio/speech."""

    input: str
    model: str = ""
    voice: str | dict[str, str] = ""
    response_format: Written | None = None
    speed: Annotated[float, Meta(ge=0.25, le=4)] | None = None
    instructions: str | None = None
    stream_format: str | None = None


class Segment(msgspec.Struct, frozen=True):
    id: int
    start: float  # s
    end: float
    text: str


class Transcribed(msgspec.Struct, frozen=True):
    """The answer of POST /v1/audio/transcriptions: json, and (with all fields) verbose_json."""

    text: str
    task: str | msgspec.UnsetType = msgspec.UNSET
    language: str | msgspec.UnsetType = msgspec.UNSET  # ISO 639-1, "" unknown
    duration: float | msgspec.UnsetType = msgspec.UNSET
    segments: list[Segment] | msgspec.UnsetType = msgspec.UNSET


class InMemory(MultiPartParser):
    """What is uploaded does not reach the disk."""

    spool_max_size = 1 << 30  # more than a body may have


class Upload(NamedTuple):
    data: bytes
    language: str
    form: str


async def transcriptions(request: Request, gate: Gate) -> Telling:
    """What is said in a sound file?"""
    upload = await _upload(request, gate.settings.limits)
    decode = functools.partial(files.decode, upload.data, gate.settings.limits.audio_s, "The file")
    try:
        pcm = await asyncio.get_running_loop().run_in_executor(None, decode)
    except AudioError as error:
        status = 413 if "longer than" in str(error) else 400
        raise Refusal(status, "audio_refused", f"{error}.", "file") from error
    events = _listen(gate, chat.client(request), pcm, upload.language)
    media_type = "text/plain; charset=utf-8" if upload.form == "text" else "application/json"
    return Telling(request.url.path, events, Whole(functools.partial(_transcribed, upload.form), media_type))


async def speech(request: Request, gate: Gate) -> Telling:
    """A text, spoken."""
    body = await read(request, SpeechRequest)
    if not body.input.strip():
        raise Refusal(400, "no_input", "There is no text to say.", "input")
    if len(body.input) > INPUT:
        raise Refusal(400, "too_much_text", f"At most {INPUT} characters are said at a time.", "input")
    if body.speed not in (None, 1.0):
        raise Refusal(400, "unsupported_value", "The voice has one speed: leave out speed.", "speed")
    if body.stream_format not in (None, "audio"):
        raise Refusal(400, "unsupported_value", "Sound is streamed as it is: leave out stream_format.", "stream_format")
    able = ("wav", "pcm", *files.writes())
    form = body.response_format or ("mp3" if "mp3" in able else "wav")
    if form not in able:
        told = f"{form} cannot be written here; there is {', '.join(able)}."
        raise Refusal(400, "unsupported_value", told, "response_format")
    return Telling(request.url.path, _say(gate, chat.client(request), body.input), Sound(form))


# --- transcription ---


async def _upload(request: Request, limits: Limits) -> Upload:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refusal(415, "not_a_form", "The file is sent as multipart/form-data.")
    part = round(limits.body_mb * 1e6)
    parser = InMemory(request.headers, request.stream(), max_files=1, max_fields=20, max_part_size=part)
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError, KeyError) as error:
        raise Refusal(400, "form_damaged", f"The form cannot be read: {error}.") from error
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise Refusal(400, "no_file", "The form has no file.", "file")
    try:
        fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
        wanted, language = fields.get("response_format") or "json", fields.get("language", "")
        if wanted not in TEXTS:
            raise Refusal(400, "unsupported_value", f"There is {', '.join(TEXTS)}.", "response_format")
        if language and not (2 <= len(language) <= 3 and language.isalpha()):
            raise Refusal(400, "unsupported_value", "The language is an ISO 639-1 code such as en.", "language")
        if fields.get("stream", "false") not in ("false", "False", "0", ""):
            raise Refusal(400, "unsupported_value", "Transcriptions come whole: leave out stream.", "stream")
        return Upload(await file.read(), language.lower(), wanted)
    finally:
        await file.close()


class Part(NamedTuple):
    """What was understood of a piece of the sound."""

    start_s: float
    end_s: float
    told: Transcript


class All(NamedTuple):
    """It is whole."""

    duration_s: float


async def _listen(gate: Gate, client: str, pcm: NDArray[np.int16], language: str) -> AsyncGenerator[object, None]:
    """Piece by piece, so that whoever speaks to the assistant need not wait for all of it."""
    step = round(SPEECH_RATE * STEP_S)
    whole = pcm[: len(pcm) // step * step].reshape(-1, step).astype(np.float32)
    levels: list[float] = np.sqrt((whole**2).mean(axis=1)).tolist()
    edges = [0, *(cut * step for cut in cuts(levels, STEP_S)), len(pcm)]
    async with gate.ears.turn(client) as place:
        yield place
        number = next(_numbers)
        for start, end in itertools.pairwise(edges):
            wanted = Transcribe(stream=f"api-{number}-{start}", language=language)
            yield Part(start / SPEECH_RATE, end / SPEECH_RATE, await _understood(gate, wanted, pcm[start:end]))
        yield All(len(pcm) / SPEECH_RATE)


async def _understood(gate: Gate, wanted: Transcribe, pcm: NDArray[np.int16]) -> Transcript:
    where, limit_s = functools.partial(_of, wanted.stream), gate.settings.limits.answer_s
    with Following(gate, "microphone", Transcript, where=where, limit_s=limit_s) as answers:
        await gate.link.send(wanted, pcm.tobytes())
        told = (await answers.next()).message
    assert isinstance(told, Transcript)
    if told.error:
        raise Refusal(500, "recognition_failed", f"Speech recognition failed: {told.error}.")
    return told


def _transcribed(form: str, events: list[object]) -> bytes:
    end = events[-1]
    if not isinstance(end, All):
        return b""
    parts = [event for event in events if isinstance(event, Part) and event.told.text]
    text = " ".join(part.told.text for part in parts)
    if form == "text":
        return text.encode() + b"\n"
    if form == "json":
        return msgspec.json.encode(Transcribed(text))
    segments = [Segment(at, part.start_s, part.end_s, part.told.text) for at, part in enumerate(parts)]
    language = next((part.told.language for part in parts if part.told.language), "")
    return msgspec.json.encode(Transcribed(text, "transcribe", language, end.duration_s, segments))


# --- speech ---


class Heard(NamedTuple):
    """A piece of sound, int16 mono PCM."""

    rate: int
    pcm: NDArray[np.int16]


async def _say(gate: Gate, client: str, text: str) -> AsyncGenerator[object, None]:
    """Sentence by sentence: the next one is asked for when the client has taken the last."""
    reply = Reply(first_clause=True)
    pieces = [*reply.add(text), *reply.finish()]
    async with gate.voice.turn(client) as place:
        yield place
        number = next(_numbers)
        for at, sentence in enumerate(itertools.chain.from_iterable(_short(piece.text) for piece in pieces)):
            wanted = Synthesize(stream=f"api-{number}-{at}", text=sentence, language=language_of(sentence))
            async for heard in _spoken(gate, wanted):
                yield heard
        yield All(0.0)


async def _spoken(gate: Gate, wanted: Synthesize) -> AsyncIterator[Heard]:
    where, limit_s = functools.partial(_of, wanted.stream), gate.settings.limits.answer_s
    with Following(gate, "speaker", Synthesized, where=where, limit_s=limit_s) as answers:
        await gate.link.send(wanted)
        last = False
        while not last:
            received = await answers.next()
            told = received.message
            assert isinstance(told, Synthesized)
            if told.error:
                raise Refusal(500, "synthesis_failed", f"Speech synthesis failed: {told.error}.")
            last = told.last
            if not last:
                yield Heard(told.rate, np.frombuffer(bytes(received.payload), np.int16))


class Sound:
    """The bytes of a sound file as it grows."""

    def __init__(self, form: Written) -> None:
        self.media_type = MEDIA[form]
        self._form = form
        self._rate = 0
        self._converter: Converter | None = None
        self._writer: files.Writer | None = None

    def event(self, event: object) -> bytes:
        match event:
            case Heard(rate=rate, pcm=pcm):
                return self._begin(rate) + self._more(pcm)
            case All() if self._rate:
                return self._end()
            case All():
                raise Refusal(400, "nothing_to_say", "There is nothing in this text that can be said.", "input")
        return b""

    def failure(self, refusal: Refusal) -> bytes:
        return b""  # the sound ends: there is no place in it for words

    def _begin(self, rate: int) -> bytes:
        if self._rate:
            return b""
        self._rate = rate
        if self._form == "pcm":
            self._converter = Converter(rate, to=PCM_RATE)
        elif self._form == "wav":
            return wav.head(rate)
        else:
            self._writer = files.Writer(self._form, rate)
        return b""

    def _more(self, pcm: NDArray[np.int16]) -> bytes:
        if self._writer is not None:
            return self._writer.feed(pcm)
        return (self._converter.feed(pcm) if self._converter is not None else pcm).astype("<i2").tobytes()

    def _end(self) -> bytes:
        if self._writer is not None:
            return self._writer.finish()
        return self._converter.flush().astype("<i2").tobytes() if self._converter is not None else b""


def _short(text: str) -> list[str]:
    """A text without a sentence's end, in parts that are not too long to wait for."""
    parts = []
    while len(text) > PIECE:
        cut = max(text.rfind(mark, PIECE // 2, PIECE) for mark in " ,，、") + 1 or PIECE
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text]


def _of(stream: str, received: Received) -> bool:
    message: Message = received.message
    return getattr(message, "stream", None) == stream


ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/audio/transcriptions",
        transcriptions,
        "What is said in a sound file (multipart/form-data: file, language, response_format)",
        answer=Transcribed,
        tags=("openai",),
    ),
    Route(
        "POST",
        "/v1/audio/speech",
        speech,
        "A text, spoken; the sound is streamed",
        body=SpeechRequest,
        answer="audio/*",
        tags=("openai",),
    ),
)
