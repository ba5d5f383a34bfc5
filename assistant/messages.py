"""Every message that crosses the bus, and the TOPICS table: the vocabulary of the system.

All times are CLOCK_MONOTONIC nanoseconds unless a field's name says otherwise. One type is one topic; large data
(pixels, PCM, embedding rows) rides as a raw second part beside the message, never inside it.
"""

from typing import Any, Literal

import msgspec

UPLOAD = "upload-"  # begins the name of a picture that was sent to stand in a program's conversation
LIVE = "live"  # the spoken conversation; every API client has one of its own
VERSION = 1  # of this vocabulary: a message of another version is dropped, counted and logged once
PAYLOAD_LIMIT = 64 << 20  # bytes of one raw part: a 4K RGB frame (25 MB) fits, nonsense does not
MESSAGE_LIMIT = 1 << 20  # bytes of one encoded message

Language = Literal["en", "zh"]  # those that the daemon itself speaks
Persona = Literal["plain", "home", "inspector"]
Policy = Literal["fresh", "always", "never"]  # when a question is taken to be about the scene
# Why a reply ended. "refused": a program asked for what cannot be.
Reason = Literal["stop", "length", "context", "interrupted", "lost", "error", "command", "unseen", "refused"]


class Turn(msgspec.Struct, frozen=True, order=True):
    """Names a turn. ``start`` is the time of what claimed it (button, wake word, speech onset, a typed question's
    arrival); a higher ``revision`` replaces an earlier guess of the same turn."""

    conversation: str
    start: int
    revision: int = 0

    def same(self, other: "Turn") -> bool:
        """Is that one a revision of this one, or this of that?"""
        return (self.conversation, self.start) == (other.conversation, other.start)

    def concerns(self, message: "Message") -> bool:
        """Does a message belong to this turn, whatever its revision?"""
        other: Turn | None = getattr(message, "turn", None)
        return other is not None and self.same(other)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all messages."""


# --- microphone ---------------------------------------------------------------------------------------------------


class Voice(Message, frozen=True, kw_only=True):
    """The first sound of what may become speech for the assistant: there is a tenth of a second until that is certain,
    and often nothing comes of it."""

    stream: str
    at: int  # its onset


class SpeechStarted(Message, frozen=True, kw_only=True):
    """Someone began to speak. ``turn.start`` is the onset. A revision above 0: the same one goes on after a pause, and
    what was guessed or heard of the turn so far is void."""

    turn: Turn
    stream: str


class SpeechEnded(Message, frozen=True, kw_only=True):
    """The endpoint was decided; recognition begins."""

    turn: Turn
    stream: str
    last_sample_at: int  # end of the last frame that held speech
    why: Literal["silence", "released", "too long"]
    detector_at: int = 0  # when the detector of the end of turns had listened to the last pause; 0: it was not asked …
    detector_ms: float = 0.0  # … and for how long it had


class Hearing(Message, frozen=True, kw_only=True):
    """What was understood so far; may still change."""

    turn: Turn
    text: str


class Guess(Message, frozen=True, kw_only=True):
    """What the user has said, if they are done: made in a pause, before its end is decided. Work may begin on it;
    nothing may be spoken, executed or kept for it until a Heard of the same turn confirms it."""

    turn: Turn  # revision 1, 2, …: each replaces the one before
    stream: str
    text: str
    language: str = ""  # ISO 639-1, "" unknown
    last_sample_at: int
    complete: float = 1.0  # how likely the words are all that is to come, 0..1


class Heard(Message, frozen=True, kw_only=True):
    """What the user said. Of the revision of the Guess that it confirms (the text is the same), else of a higher one.
    A later one of the same start replaces it: the user went on."""

    turn: Turn
    stream: str
    text: str
    language: str = ""  # ISO 639-1, "" unknown
    last_sample_at: int
    engine_ms: float = 0.0  # recognition after the endpoint
    cut: bool = False  # more was said than is ever listened to at once: this is its beginning


class SpeechDropped(Message, frozen=True, kw_only=True):
    """Speech that opens no turn, and why: "too short", "not understood", "during a reply", "muted" …"""

    turn: Turn
    stream: str
    why: str
    last_sample_at: int = 0


class WakeWord(Message, frozen=True, kw_only=True):
    """The assistant was called. What begins here opens a turn, and what it is answering is interrupted."""

    phrase: str
    at: int  # the end of the phrase
    score: float  # how sure the engine is, 0..1
    stream: str


class Duck(Message, frozen=True, kw_only=True):
    """Someone may be speaking over the reply: it is played softly until that is clear. An Interrupt follows, or
    ``on=False``; the speaker comes back up by itself when neither does."""

    on: bool
    at: int


class MicrophoneState(Message, frozen=True, kw_only=True):
    state: Literal["live", "muted", "lost", "bus"]
    detail: str = ""


# --- camera and vision --------------------------------------------------------------------------------------------


class Transcript(Message, frozen=True, kw_only=True):
    """What was said in the sound of a Transcribe."""

    stream: str
    text: str  # "": no words were understood
    language: str = ""  # ISO 639-1, "" unknown
    duration_s: float  # of the sound
    error: str = ""  # why it could not be listened to


class Frame(Message, frozen=True, kw_only=True):
    """A picture as it was captured. Payload: RGB uint8 [height, width, 3]."""

    camera: str
    seq: int  # counts up within one run of the camera process
    captured_at: int
    width: int
    height: int
    signature: bytes  # block signature, see assistant.core.frames

    @property
    def identity(self) -> str:
        return f"{self.camera}@{self.captured_at}"


class CameraState(Message, frozen=True, kw_only=True):
    camera: str
    state: Literal["starting", "live", "muted", "lost"]
    detail: str = ""
    label: str = ""  # of the Picture that it shows now, if a program sent one
    called: tuple[str, ...] = ()  # what a question may call it, its name first; () for a program's own


class Look(Message, frozen=True, kw_only=True):
    """Dialogue asks vision for the picture of a turn.

    With ``known`` (the picture in the prompt, and its signature) the newest frame is first compared to it; if it still
    shows exactly that, the answer is an Embedding with ``unchanged`` and no payload. It is of this camera and region.
    """

    turn: Turn
    camera: str = ""  # "": the default camera
    region: str = ""  # a part of the picture, looked at from nearer: see assistant.core.closer. "": all of it
    known: str = ""  # identity
    known_signature: bytes = b""
    max_age_ms: int = 1000  # a frame older than this is not shown: wait for a newer one, or Unseen
    until: int  # dialogue no longer waits for an answer after this time
    anew: bool = False  # of what was encoded before, only a picture taken since the turn began will do
    # While the user still speaks: worth less than a question that waits. Until the speech ends, the scene is watched
    # and may be encoded again; that there is nothing to see, or that it would not pay, is not told.
    ahead: bool = False


class NpuCost(msgspec.Struct, frozen=True):
    """What possession of the NPU cost a job."""

    wait_ms: float = 0.0
    hold_ms: float = 0.0
    behind: str = ""  # who held it when it was asked for; "": nobody


class Embedding(Message, frozen=True, kw_only=True):
    """Vision's answer to a Look. Payload: float32 rows [tokens, width], or an encoded JPEG, or none if unchanged."""

    turn: Turn
    identity: str
    camera: str
    frame_seq: int
    captured_at: int
    verified_at: int  # when the scene was last known to look like this
    signature: bytes  # of the whole frame, also where a region of it is shown
    region: str = ""
    form: Literal["rows", "jpeg", "unchanged"]
    tokens: int = 0
    width: int = 0
    grid: tuple[int, int] = (0, 0)
    engine_ms: float = 0.0  # waiting for the NPU included; 0 when the embedding was already in hand
    npu: NpuCost | None = None  # None: without an NPU, or in hand already
    encoded_at: int = 0  # when encoding it was done; before the turn, where it was in hand; 0: it was not encoded
    ahead: bool = False  # it answers a Look that was ahead


class Unseen(Message, frozen=True, kw_only=True):
    """Vision's other answer: there is no picture to look at, or one that shows too little, and why."""

    turn: Turn
    why: Literal["muted", "lost", "stale", "unreadable", "none", "loading", "dark", "overexposed", "covered", "blurred"]
    detail: str = ""


class Thumbnail(Message, frozen=True, kw_only=True):
    """What was encoded, small, for people to look at. Payload: JPEG, longest side 640 at most."""

    identity: str  # of the Embedding
    camera: str
    captured_at: int


# --- dialogue -----------------------------------------------------------------------------------------------------


class TurnStarted(Message, frozen=True, kw_only=True):
    """The question is final and is being answered."""

    turn: Turn
    text: str
    spoken: bool  # heard rather than typed
    last_sample_at: int  # end of the user's speech; for typed questions their arrival


class PictureBound(Message, frozen=True, kw_only=True):
    """Which picture the answer is about; absent from turns that are answered without one."""

    turn: Turn
    identity: str
    camera: str
    frame_seq: int
    captured_at: int
    verified_at: int
    fresh: bool  # new in the prompt with this turn (else verified or carried over)
    region: str = ""  # the part of the frame that was looked at; "": all of it
    npu: NpuCost | None = None  # of encoding it for this turn


class Thinking(Message, frozen=True, kw_only=True):
    """The prompt is being computed: told when that begins, now and then, and when it is done."""

    turn: Turn
    done: int  # tokens that stand in the cache; what an engine cannot tell is 0 until all do
    total: int
    ahead: bool = False  # before the question is known; more of the prompt comes with it


class ReplyToken(Message, frozen=True, kw_only=True):
    turn: Turn
    text: str
    index: int  # counts the pieces of this reply from 0


class ReplySentence(Message, frozen=True, kw_only=True):
    """A piece ready to be spoken. ``text`` is cleaned for speech; ``end`` marks where it stops in the full reply."""

    turn: Turn
    index: int
    text: str
    end: int  # characters of the reply up to here
    language: str = ""
    engine_ms: float = 0.0  # language-model time spent on this turn so far


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    prefill_ms: float = 0.0
    first_token_ms: float = 0.0  # language-model time to the first token, prefill included
    decode_ms: float = 0.0
    memory_mb: float = 0.0  # of the model's runtime, at its peak; 0: not known
    npu: NpuCost | None = None  # None: without an NPU
    began_at: int = 0  # ns, when the model was given the question, and its first token; before the turn's own end
    first_token_at: int = 0  # where an answer was begun on a Guess; 0: not known
    wasted_ms: float = 0.0  # of the model, on prompts and answers of this turn that were not used
    wasted_npu_ms: float = 0.0  # of these, in possession of the NPU


class ReplyEnded(Message, frozen=True, kw_only=True):
    """The whole reply as generated. ``sentences`` of it were handed to the speaker."""

    turn: Turn
    reason: Reason
    text: str
    sentences: int
    usage: Usage = Usage()
    detail: str = ""
    about: Literal["", "messages", "pictures", "tools", "length"] = ""  # what of a refused Complete cannot be


class ToolCall(Message, frozen=True, kw_only=True):
    """The model asks for a function, after its words. Whoever gave it the functions runs it, and nobody else."""

    turn: Turn
    index: int  # counts the calls of this reply from 0
    id: str  # the answer to it names this
    name: str
    arguments: str  # JSON text of an object


class DialogueState(Message, frozen=True, kw_only=True):
    """How questions are answered from now on, and with what."""

    persona: Persona
    language: Language
    picture: Policy
    model: str = ""  # its name for people; "": there is none
    wants: Literal["embeddings", "pictures", "text"] = "text"
    context: int = 0  # tokens of prompt and reply together
    used: int = 0  # of these, by the live conversation
    slots: int = 1  # conversations whose KV cache is kept
    tools: bool = False  # whether the model can ask for functions


class Cleared(Message, frozen=True, kw_only=True):
    """The conversation was forgotten."""

    conversation: str
    why: Literal["asked", "gap"]


# --- speaker ------------------------------------------------------------------------------------------------------


class Speaking(Message, frozen=True, kw_only=True):
    """A sentence's first sample left for the ear. ``engine_ms``: synthesis time up to the first block."""

    turn: Turn
    index: int
    first_sample_at: int
    engine_ms: float = 0.0


class Spoken(Message, frozen=True, kw_only=True):
    """A sentence is over. ``text`` is what was really heard of it, to the word; ``complete`` if all of it was."""

    turn: Turn
    index: int
    text: str
    complete: bool


class SpeakerIdle(Message, frozen=True, kw_only=True):
    """The reply's last sample was played, or what was left of it dropped; nothing is sounding."""

    turn: Turn


class SpeakerState(Message, frozen=True, kw_only=True):
    volume: float  # as it is heard: half of it sounds half as loud
    muted: bool


class AudioOut(Message, frozen=True, kw_only=True):
    """What is being played, for whoever listens on the bus. Payload: int16 mono PCM."""

    turn: Turn
    index: int  # of the sentence
    rate: int
    first_sample_at: int


class Synthesized(Message, frozen=True, kw_only=True):
    """Sound for whoever sent a Synthesize. Payload: int16 mono PCM; none with the last one."""

    stream: str
    index: int  # counts the pieces from 0
    rate: int  # Hz
    last: bool = False
    error: str = ""  # with the last one: why it is not whole


class Playback(Message, frozen=True, kw_only=True):
    """How loud what is played is, as it leaves for the ear: for whoever must tell its echo from the user. ``levels``
    are dBFS in the bands of assistant.core.levels, one row for each step of ``step_ms``; gain and mute included."""

    first_sample_at: int
    step_ms: int = 10
    levels: tuple[tuple[float, ...], ...]


# --- into an inbox ------------------------------------------------------------------------------------------------


class Ask(Message, frozen=True, kw_only=True):
    """A typed question. ``camera`` names a camera, or a picture sent to a name of its own, for this question alone."""

    turn: Turn
    text: str
    camera: str = ""
    asked_at: int = 0  # when it was complete, where that was later than its start; 0: it was not


class Shown(msgspec.Struct, frozen=True):
    """A picture in what a program says: of a camera ("": the default one), or one that was sent as a Picture under a
    name of its own, which begins with UPLOAD and stands for that picture for ever."""

    camera: str = ""


class Called(msgspec.Struct, frozen=True):
    """A call of a function that the model made before."""

    id: str
    name: str
    arguments: str


class Said(msgspec.Struct, frozen=True):
    """A message of a program's conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: tuple[str | Shown, ...] = ()
    calls: tuple[Called, ...] = ()  # assistant: what it asked for after its words
    call_id: str = ""  # tool: the call that this answers


class Function(msgspec.Struct, frozen=True):
    """What the model may ask for."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}  # JSON schema of its arguments


class Script(msgspec.Struct, frozen=True):
    """What a Complete is about: a conversation may be longer than a message may be, so it rides beside it."""

    messages: tuple[Said, ...]
    functions: tuple[Function, ...] = ()


class Complete(Message, frozen=True, kw_only=True):
    """A program's whole conversation is to be gone on with, in nobody's words but its own. Payload: a Script (msgpack).

    Answered by ReplyToken, ToolCall and ReplyEnded of this turn, whose conversation is the request's own. A last
    message of the assistant's is a reply that has begun. None: as the daemon would itself.
    """

    turn: Turn
    max_tokens: int | None = None  # None: all that the context holds
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


class Transcribe(Message, frozen=True, kw_only=True):
    """What is said in this sound? It opens no turn. Payload: int16 PCM, 16 kHz mono, not much longer than an utterance:
    whoever speaks to the assistant goes first, but waits for what was begun. Answered by a Transcript."""

    stream: str  # names this one
    language: str = ""  # ISO 639-1, "": any


class Synthesize(Message, frozen=True, kw_only=True):
    """Say this, but not at the speaker: to whoever asks. A sentence or little more: what is said aloud goes first, but
    waits for what was begun. Answered by Synthesized."""

    stream: str  # names this one
    text: str
    language: str = ""  # ISO 639-1, "": the voice's own


class AudioIn(Message, frozen=True, kw_only=True):
    """Sound from a program instead of a sound card. Payload: PCM as described."""

    stream: str
    first_sample_at: int
    rate: int
    channels: int = 1
    sample: Literal["int16", "float32"] = "int16"
    last: bool = False  # the stream ends with this block


class Picture(Message, frozen=True, kw_only=True):
    """A picture from a program. Payload: an encoded image file. A configured camera ("": the default one) shows it from
    now on; any other name: one Frame of that camera. Confirmed by a CameraState with this label."""

    camera: str = ""
    label: str = ""


class PushToTalk(Message, frozen=True, kw_only=True):
    pressed: bool
    at: int
    stream: str = ""  # "": the default source


class Interrupt(Message, frozen=True, kw_only=True):
    """Whatever belongs to a turn of this conversation that started before this time is dropped by everyone, at once."""

    conversation: str = LIVE
    before: int


class Clear(Message, frozen=True, kw_only=True):
    conversation: str = LIVE


class Mute(Message, frozen=True, kw_only=True):
    device: Literal["microphone", "camera", "speaker"]
    muted: bool


class Say(Message, frozen=True, kw_only=True):
    """Words that a program wants said aloud: a turn of its own, without a question and without the model."""

    turn: Turn
    text: str
    language: str = ""  # ISO 639-1, "": as each sentence is


class Prefer(Message, frozen=True, kw_only=True):
    """How questions are to be answered from now on, until the daemon's end; None: as they are. Confirmed by a
    DialogueState."""

    persona: Persona | None = None
    language: Language | None = None
    picture: Policy | None = None


class Volume(Message, frozen=True, kw_only=True):
    """How loud the speaker is to be. One that is muted is heard again. Confirmed by a SpeakerState."""

    level: float | None = None  # as it is heard, up to 1; never so low that nothing is. None: from where it is …
    step: int = 0  # … so many steps louder, or softer


# --- every service ------------------------------------------------------------------------------------------------


class Heartbeat(Message, frozen=True, kw_only=True):
    state: Literal["starting", "ready", "degraded", "stopping"]
    detail: str = ""
    figures: dict[str, float] = {}


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know of a message type. ``publishers`` put it on the bus; it may be sent to ``inboxes``."""

    publishers: tuple[str, ...] = ()
    inboxes: tuple[str, ...] = ()
    newest: bool = False  # only the newest counts: older ones waiting in a queue are skipped
    resend: bool = False  # the last value (one a key) is re-sent to a new subscriber
    key: str = ""  # field that tells apart values of which each has a newest, or is re-sent
    period_s: float = 0.0  # for periodic ones: silence for several periods is noticed


SERVICES = ("microphone", "camera", "vision", "dialogue", "speaker", "gateway")

TOPICS: dict[type[Message], Topic] = {
    Voice: Topic(publishers=("microphone",)),
    SpeechStarted: Topic(publishers=("microphone",)),
    SpeechEnded: Topic(publishers=("microphone",)),
    Hearing: Topic(publishers=("microphone",), newest=True),
    Guess: Topic(publishers=("microphone",)),
    Heard: Topic(publishers=("microphone",)),
    SpeechDropped: Topic(publishers=("microphone",)),
    WakeWord: Topic(publishers=("microphone",)),
    Duck: Topic(publishers=("microphone",)),
    Transcript: Topic(publishers=("microphone",)),
    MicrophoneState: Topic(publishers=("microphone",), resend=True),
    Frame: Topic(publishers=("camera",), newest=True, key="camera"),
    CameraState: Topic(publishers=("camera",), resend=True, key="camera"),
    # Re-sent, because a vision process that was just started anew has not subscribed in time to hear it.
    Look: Topic(publishers=("dialogue",), resend=True, key="camera"),
    Embedding: Topic(publishers=("vision",)),
    Unseen: Topic(publishers=("vision",)),
    Thumbnail: Topic(publishers=("vision",)),
    TurnStarted: Topic(publishers=("dialogue",)),
    PictureBound: Topic(publishers=("dialogue",)),
    Thinking: Topic(publishers=("dialogue",)),
    ReplyToken: Topic(publishers=("dialogue",)),
    ReplySentence: Topic(publishers=("dialogue",)),
    ReplyEnded: Topic(publishers=("dialogue",)),
    ToolCall: Topic(publishers=("dialogue",)),
    DialogueState: Topic(publishers=("dialogue",), resend=True),
    Cleared: Topic(publishers=("dialogue",)),
    Speaking: Topic(publishers=("speaker",)),
    Spoken: Topic(publishers=("speaker",)),
    SpeakerIdle: Topic(publishers=("speaker",)),
    SpeakerState: Topic(publishers=("speaker",), resend=True),
    AudioOut: Topic(publishers=("speaker",)),
    Synthesized: Topic(publishers=("speaker",)),
    Playback: Topic(publishers=("speaker",)),
    Ask: Topic(inboxes=("dialogue",)),
    Complete: Topic(inboxes=("dialogue",)),
    Transcribe: Topic(inboxes=("microphone",)),
    Synthesize: Topic(inboxes=("speaker",)),
    AudioIn: Topic(inboxes=("microphone",)),
    Picture: Topic(inboxes=("camera",)),
    PushToTalk: Topic(publishers=("microphone",), inboxes=("microphone",)),  # published: of a button of its own
    Interrupt: Topic(publishers=("microphone", "dialogue"), inboxes=("speaker", "dialogue")),
    Clear: Topic(inboxes=("dialogue",)),
    Say: Topic(inboxes=("dialogue",)),
    Prefer: Topic(inboxes=("dialogue",)),
    Mute: Topic(publishers=("dialogue",), inboxes=("microphone", "camera", "speaker")),
    Volume: Topic(publishers=("dialogue",), inboxes=("speaker",)),
    Heartbeat: Topic(publishers=SERVICES, resend=True, period_s=1.0),
}

BY_NAME: dict[str, type[Message]] = {kind.__name__: kind for kind in TOPICS}
