"""What is known of one turn, message by message, and the record made of it. For assistant.core.ledger."""

import msgspec

from assistant.messages import (
    AudioOut,
    Embedding,
    Heard,
    Message,
    NpuCost,
    PictureBound,
    Reason,
    ReplyEnded,
    ReplySentence,
    ReplyToken,
    SpeakerIdle,
    Speaking,
    SpeechDropped,
    SpeechEnded,
    Spoken,
    Thinking,
    Turn,
    TurnStarted,
    Unseen,
)

Stage = tuple[str, int, int]  # name, begin, end (CLOCK_MONOTONIC ns)

TIMINGS = (
    "endpoint", "asr", "encode", "prefill", "first_token", "decode", "tts_first_audio", "first_audio", "reply_end",
)  # fmt: skip
WAITED_MS = 1.0  # a shorter wait for the NPU is the price of asking for it


class TurnRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a turn. None: that did not occur."""

    turn: Turn
    heard: str = ""  # or typed
    spoken: bool = False  # the question was heard rather than typed
    answer: str = ""  # as generated
    spoken_text: str = ""  # what of it was really played
    spoken_ms: float = 0.0  # of sound played
    finish_reason: Reason | None = None  # None: no turn was opened, see ``dropped``
    detail: str = ""
    dropped: str | None = None  # why speech opened no turn
    asked_at: int = 0  # ns: the last sample of the question, or the typed one's arrival
    camera: str | None = None
    region: str | None = None  # the part of the frame that was looked at; "" all of it
    frame_seq: int | None = None
    frame_identity: str | None = None
    frame_age_ms: float | None = None  # end of speech - verified_at; 0 where the look was newer than that
    picture_fresh: bool | None = None  # new in the prompt with this turn
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    tokens_per_s: float | None = None  # of the reply, as its engine measured it
    memory_mb: float | None = None  # of the model's runtime, at its peak
    npu: dict[str, NpuCost] = {}  # what its possession cost "encode" and "reply"; empty without an NPU
    wasted_ms: float = 0.0  # of encoding, computing prompts and generating that were begun ahead and not used
    wasted_npu_ms: float = 0.0  # of these, in possession of the NPU
    timings_ms: dict[str, float | None] = {}  # TIMINGS; first_audio and reply_end count from asked_at
    stages: tuple[Stage, ...] = ()  # in order of their begin


class Facts:
    """What is known of a turn so far: the first message of each kind, and when it was sent."""

    def __init__(self, turn: Turn, before: "Facts | None" = None) -> None:
        """``before``: what is known of a lower revision. Only what was done ahead stays true of the turn."""
        self.turn = turn
        self.news_at = 0
        self.over_at: int | None = None
        self.sent: dict[type[Message], int] = {}
        self.dropped: SpeechDropped | None = None
        self.speech_ended: SpeechEnded | None = None
        self.heard: Heard | None = None
        self.started: TurnStarted | None = None
        self.bound: PictureBound | None = None
        self.ended: ReplyEnded | None = None
        self.unseen: Unseen | None = None
        self.looked: dict[str, tuple[int, Embedding]] = dict(before.looked) if before is not None else {}  # by picture
        self.prompts: list[tuple[int, Thinking]] = list(before.prompts) if before is not None else []  # ahead, sent at
        self.tokens: dict[int, tuple[str, int]] = {}  # index -> text, sent at
        self.sentences: dict[int, int] = {}  # index -> sent at
        self.speaking: dict[int, int] = {}  # index -> first sample at
        self.voice_ms: dict[int, float] = {}  # index -> synthesis up to its first block
        self.said: dict[int, Spoken] = {}
        self.blocks: dict[tuple[int, int], float] = {}  # (sentence, first sample at) -> ms

    def note(self, message: Message, sent_at: int, samples: int) -> None:
        self.news_at = max(self.news_at, sent_at)
        self.sent.setdefault(type(message), sent_at)
        match message:
            case SpeechDropped():
                self.dropped = self.dropped or message
            case SpeechEnded():
                self.speech_ended = self.speech_ended or message
            case Heard():
                self.heard = self.heard or message
            case TurnStarted():
                self.started = self.started or message
            case PictureBound():
                self.bound = self.bound or message
            case ReplyEnded():
                self.ended = self.ended or message
            case Unseen():
                self.unseen = self.unseen or message
            case _:
                self._note_piece(message, sent_at, samples)

    def _note_piece(self, message: Message, sent_at: int, samples: int) -> None:
        match message:
            case Embedding(identity=identity, form=form) if form != "unchanged":
                self.looked.setdefault(identity, (sent_at, message))
            case Thinking(ahead=True):
                self.prompts.append((sent_at, message))
            case ReplyToken(index=index, text=text):
                self.tokens.setdefault(index, (text, sent_at))
            case ReplySentence(index=index):
                self.sentences.setdefault(index, sent_at)
            case Speaking(index=index, first_sample_at=at, engine_ms=engine_ms):
                self.speaking.setdefault(index, at)
                self.voice_ms.setdefault(index, engine_ms)
            case Spoken(index=index):
                self.said.setdefault(index, message)
            case AudioOut(index=index, first_sample_at=at, rate=rate) if rate > 0:
                self.blocks.setdefault((index, at), samples * 1000.0 / rate)

    @property
    def begun(self) -> bool:
        """Is more known than what was done ahead?"""
        return any(kind not in (Embedding, Thinking) for kind in self.sent)

    @property
    def over(self) -> bool:
        """Was everything generated and played?"""
        return self.ended is not None and (self.ended.sentences == 0 or SpeakerIdle in self.sent)

    @property
    def missing(self) -> bool:
        """Is something still under way that was certainly sent?"""
        if self.started is None or (self.started.spoken and self.heard is None):
            return True
        return self.bound is not None and self.bound.fresh and self.bound.identity not in self.looked

    @property
    def asked_at(self) -> int | None:
        source = self.started or self.heard or self.speech_ended
        return source.last_sample_at if source is not None else None


KINDS = (
    SpeechDropped, SpeechEnded, Heard, TurnStarted, PictureBound, ReplyEnded, Unseen, Embedding, ReplyToken,
    ReplySentence, Speaking, Spoken, AudioOut, SpeakerIdle, Thinking,
)  # fmt: skip


def record_of(facts: Facts, reason: Reason | None) -> TurnRecord:
    """The record of what is known; without ``reason``, of speech that opened no turn."""
    bound, ended, asked_at = facts.bound, facts.ended, facts.asked_at
    source = facts.heard or facts.started
    age = None if bound is None or asked_at is None else max(0.0, (asked_at - bound.verified_at) / 1e6)
    record = TurnRecord(
        turn=facts.turn,
        heard=source.text if source is not None else "",
        spoken=facts.started.spoken if facts.started is not None else facts.heard is not None,
        answer=ended.text if ended is not None else "".join(facts.tokens[i][0] for i in sorted(facts.tokens)),
        spoken_text=joined([facts.said[index].text for index in sorted(facts.said)]),
        spoken_ms=sum(facts.blocks[key] for key in sorted(facts.blocks)),
        finish_reason=reason,
        detail=ended.detail if ended is not None else "",
        dropped=facts.dropped.why if facts.dropped is not None and reason is None else None,
        asked_at=asked_at or 0,
        frame_age_ms=age,
        timings_ms=_timings(facts),
        stages=_stages(facts),
    )
    if bound is not None:
        record = msgspec.structs.replace(
            record,
            camera=bound.camera,
            region=bound.region,
            frame_seq=bound.frame_seq,
            frame_identity=bound.identity,
            picture_fresh=bound.fresh,
        )
    wasted, wasted_npu = _vain(facts)
    record = msgspec.structs.replace(record, wasted_ms=wasted, wasted_npu_ms=wasted_npu)
    costs = {"encode": bound.npu if bound else None, "reply": ended.usage.npu if ended else None}
    record = msgspec.structs.replace(record, npu={job: cost for job, cost in costs.items() if cost is not None})
    if ended is None:
        return record
    usage = ended.usage
    return msgspec.structs.replace(
        record,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=usage.cached_tokens,
        completion_tokens=usage.completion_tokens,
        tokens_per_s=usage.completion_tokens * 1000 / usage.decode_ms if usage.decode_ms else None,
        memory_mb=usage.memory_mb or None,
        wasted_ms=wasted + usage.wasted_ms,
        wasted_npu_ms=wasted_npu + usage.wasted_npu_ms,
    )


def _vain(facts: Facts) -> tuple[float, float]:
    """Milliseconds of encoding for this turn that no answer was about, and of them those on the NPU."""
    shown = facts.bound.identity if facts.bound is not None else ""
    vain = [seen for identity, (_, seen) in facts.looked.items() if seen.ahead and identity != shown]
    waited = sum(seen.npu.wait_ms for seen in vain if seen.npu is not None)
    on_npu = sum(seen.npu.hold_ms for seen in vain if seen.npu is not None)
    return sum(seen.engine_ms for seen in vain) - waited, on_npu


def joined(texts: list[str]) -> str:
    """Sentences as one text: a space between them, but none beside Chinese."""
    text = ""
    for piece in (piece.strip() for piece in texts):
        wide = bool(text and piece) and (text[-1] > "\u2e80" or piece[0] > "\u2e80")
        text += piece if wide or not text or not piece else f" {piece}"
    return text


def _span(begin: int | None, end: int | None) -> float | None:
    return None if begin is None or end is None else (end - begin) / 1e6


def _timings(facts: Facts) -> dict[str, float | None]:
    asked, sound = facts.asked_at, min(facts.speaking.values(), default=None)
    last_sample = facts.speech_ended.last_sample_at if facts.speech_ended is not None else None
    usage = facts.ended.usage if facts.ended is not None and facts.ended.usage.prompt_tokens else None
    embedding = facts.looked.get(facts.bound.identity) if facts.bound is not None else None
    asr = _span(facts.sent.get(SpeechEnded), facts.sent.get(Heard))
    if asr is None and facts.heard is not None:
        asr = facts.heard.engine_ms
    first = facts.tokens.get(0)
    first_token = usage.first_token_ms if usage is not None and usage.first_token_ms else None
    if first_token is None and first is not None:
        first_token = _span(facts.sent.get(TurnStarted), first[1])
    return {
        "endpoint": _span(last_sample, facts.sent.get(SpeechEnded)),
        "asr": asr,
        "encode": embedding[1].engine_ms if embedding is not None else None,
        "prefill": usage.prefill_ms if usage is not None else None,
        "first_token": first_token,
        "decode": usage.decode_ms if usage is not None else None,
        "tts_first_audio": _span(min(facts.sentences.values(), default=None), sound),
        "first_audio": _span(asked, sound),
        "reply_end": _span(asked, _end(facts)),
    }


def _end(facts: Facts) -> int | None:
    return facts.sent.get(SpeakerIdle) if facts.speaking else facts.sent.get(ReplyEnded)


def _stages(facts: Facts) -> tuple[Stage, ...]:
    """What took how long, on one clock; stages may overlap (an image is encoded while the user speaks)."""
    stages: list[tuple[str, int | None, int | None]] = []
    if facts.speech_ended is not None:
        stages.append(("speech", facts.turn.start, facts.speech_ended.last_sample_at))
        stages.append(("endpoint", facts.speech_ended.last_sample_at, facts.sent[SpeechEnded]))
        if listened := facts.speech_ended.detector_at:
            stages.append(("melody", listened - round(facts.speech_ended.detector_ms * 1e6), listened))
        stages.append(("asr", facts.sent[SpeechEnded], facts.sent.get(Heard)))
    for sent_at, seen in facts.looked.values():
        ended = seen.encoded_at or sent_at
        began = ended - round(seen.engine_ms * 1e6)
        if seen.engine_ms and ended > facts.turn.start:  # else it was in hand
            own = facts.bound is not None and facts.bound.identity == seen.identity
            cost = facts.bound.npu if facts.bound is not None and own else seen.npu
            stages += _waited("encode ahead" if seen.ahead else "encode", began, cost, ended)
    usage = facts.ended.usage if facts.ended is not None else None
    ahead = facts.prompts[-1][0] if facts.prompts else None
    first = facts.tokens[0][1] if 0 in facts.tokens else None
    if usage is not None and usage.first_token_at:
        first = usage.first_token_at
    if first is not None and usage is not None and usage.prefill_ms:
        begin = first - round(max(usage.first_token_ms, usage.prefill_ms) * 1e6)
        if ahead is not None and facts.prompts[-1][1].done < facts.prompts[-1][1].total:
            ahead = max(ahead, begin)  # the question came meanwhile, and waited for it
        waited = usage.npu.wait_ms if usage.npu is not None else 0.0
        stages += _waited("prefill", begin, usage.npu, begin + round((waited + usage.prefill_ms) * 1e6))
    if facts.prompts:
        stages.append(("prefill ahead", facts.prompts[0][0], ahead))
    stages.append(("generate", first, facts.sent.get(ReplyEnded)))
    sound = min(facts.speaking.values(), default=None)
    stages += _voiced(min(facts.sentences.values(), default=None), facts.voice_ms, sound)
    stages.append(("sound", sound, facts.sent.get(SpeakerIdle)))
    whole = [(name, begin, max(begin, end)) for name, begin, end in stages if begin is not None and end is not None]
    return tuple(sorted(whole, key=lambda stage: stage[1]))


def _voiced(
    begin: int | None, voice_ms: dict[int, float], sound: int | None
) -> list[tuple[str, int | None, int | None]]:
    """From the first words to the first sound: the engine, and the way to the ear."""
    if begin is None or sound is None:
        return []
    made = min(max(begin, sound), begin + round(voice_ms[min(voice_ms)] * 1e6))
    return [("voice", begin, made), ("output", made, sound)]


def _waited(name: str, begin: int, cost: NpuCost | None, end: int) -> list[tuple[str, int | None, int | None]]:
    """A stage on the NPU, and before it, where there was one, its wait for the NPU."""
    if cost is None or cost.wait_ms < WAITED_MS:
        return [(name, begin, end)]
    free_at = min(end, begin + round(cost.wait_ms * 1e6))
    return [(f"{name} waits", begin, free_at), (name, free_at, end)]
