"""eSpeak NG (GPL-3.0; library and voices in the wheel ``espeakng-loader``): speech in a hundred languages, on any CPU.

A sentence takes about 2 ms, a hundredth of what it takes to hear it; so a piece of text is synthesised at once, in the
caller's thread, and handed out chunk by chunk: a worker thread would save nothing, and closing the iterator has
nothing to wait for. The native library is one per process: every engine shares it under one lock and sets its own
voice before each piece.
"""

import ctypes
import difflib
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np

from pipelines import engine
from pipelines.tts import Chunk, Word

PIECE = 400  # characters synthesised at once; a sentence beyond that is cut between words

# from espeak-ng/speak_lib.h, version 1.52
_SYNCHRONOUS, _DONT_EXIT, _UTF8 = 2, 0x8000, 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_END_OF_LIST, _WORD_BEGINS = 0, 1


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters, the first is 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),  # from the start of the text
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),  # (priority byte, NUL-terminated name) …, a zero byte
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_Setting: TypeAlias = tuple[str, tuple[tuple[int, int], ...]]  # voice identifier; (parameter, value) …


class Options(engine.Options, frozen=True, kw_only=True):
    # language ISO 639-1 -> one of espeak's voices or languages, with or without a variant ("en-us+f3")
    voices: dict[str, str] = msgspec.field(default_factory=lambda: {"en": "en-us", "zh": "cmn"})
    language: str = "en"  # of a text that comes without one
    words_per_minute: Annotated[int, msgspec.Meta(ge=80, le=450)] = 175
    pitch: Annotated[int, msgspec.Meta(ge=0, le=99)] = 50
    pitch_range: Annotated[int, msgspec.Meta(ge=0, le=99)] = 50  # 0 is monotone
    volume: Annotated[int, msgspec.Meta(ge=0, le=200)] = 100  # percent; above 100 it may clip


class Engine:
    """See ``pipelines.tts.Voice``. Any number may live in a process, in any threads."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a voice that espeak lacks (naming near ones) or a language without a voice."""
        self._library = _library()
        self.rate = self._library.rate
        parameters = (
            (_RATE, options.words_per_minute),
            (_VOLUME, options.volume),
            (_PITCH, options.pitch),
            (_RANGE, options.pitch_range),
        )
        self._settings: dict[str, _Setting] = {
            language: (self._library.voice(name), parameters) for language, name in options.voices.items()
        }
        self._language = options.language
        self._setting("")

    def speak(self, text: str, language: str = "") -> Iterator[Chunk]:
        """Chunks of 60 ms. Raises EngineError when the language has no voice or the library fails."""
        setting = self._setting(language)
        text = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)  # offsets stay as they were
        begun = 0
        for at, piece in _pieces(text):
            chunks = self._library.synthesise(piece, setting)
            for chunk in chunks:
                words = tuple(Word(char=at + w.char, sample=begun + w.sample) for w in chunk.words)
                yield Chunk(pcm=chunk.pcm, words=words)
            begun += sum(len(chunk.pcm) for chunk in chunks)

    def _setting(self, language: str) -> _Setting:
        try:
            return self._settings[language or self._language]
        except KeyError as error:
            known = ", ".join(self._settings) or "none"
            raise engine.EngineError(
                f"the tts engine 'espeak' has no voice set for the language {error}; it has: {known} (option voices)"
            ) from None


class _Library:
    """The native library. Its callback gathers into ``_chunks`` whatever is synthesised under the lock."""

    def __init__(self) -> None:
        import espeakng_loader

        self._lock = threading.Lock()
        self._chunks: list[tuple[bytes, list[tuple[int, int]]]] = []
        self._native = _declared(ctypes.CDLL(espeakng_loader.get_library_path()))
        data: str = espeakng_loader.get_data_path()
        self.rate: int = self._native.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DONT_EXIT)
        if self.rate <= 0:
            raise engine.EngineError(f"espeak cannot start with its data in {data}: install espeakng-loader again")
        self._callback = _Callback(self._gather)  # held here: the library keeps only its address
        self._native.espeak_SetSynthCallback(self._callback)
        self._names = self._listed(None, with_languages=True)
        variants = _Voice(languages=ctypes.cast(ctypes.c_char_p(b"variant"), ctypes.c_void_p))
        self._variants = {name.removeprefix("!v/") for name in self._listed(ctypes.byref(variants)).values()}

    def voice(self, name: str) -> str:
        """The identifier of a voice given by its identifier, a language, or either with "+variant".

        Never asks the library by name: it keeps the voice before for a name that it does not know.
        """
        base, plus, variant = name.partition("+")
        identifier = self._names.get(base.lower())
        if identifier is None:
            close = difflib.get_close_matches(base.lower(), self._names, n=5, cutoff=0.4)
            raise engine.EngineError(f"espeak has no voice {base!r}; it has, among others: {_few(close, self._names)}")
        if plus and variant not in self._variants:
            close = difflib.get_close_matches(variant, self._variants, n=5, cutoff=0.4)
            raise engine.EngineError(f"espeak has no variant {variant!r}; it has: {_few(close, self._variants)}")
        return identifier + plus + variant

    def synthesise(self, text: str, setting: _Setting) -> list[Chunk]:
        """The whole text at once. Raises EngineError if the library refuses."""
        voice, parameters = setting
        data = text.encode() + b"\0"
        with self._lock:
            self._chunks.clear()
            failed = self._native.espeak_SetVoiceByName(voice.encode())
            for parameter, value in parameters:
                failed = failed or self._native.espeak_SetParameter(parameter, value, 0)
            failed = failed or self._native.espeak_Synth(data, len(data), 0, 0, 0, _UTF8, None, None)
            gathered = list(self._chunks)
        if failed:
            raise engine.EngineError(f"espeak failed with code {failed} on the voice {voice!r}")
        return [Chunk(pcm=np.frombuffer(pcm, np.int16), words=_words(text, words)) for pcm, words in gathered]

    def _gather(self, pcm: Any, samples: int, events: Any) -> int:
        words, at = [], 0
        while events[at].type != _END_OF_LIST:
            if events[at].type == _WORD_BEGINS:
                words.append((events[at].text_position - 1, events[at].sample))
            at += 1
        if pcm and samples > 0:
            self._chunks.append((ctypes.string_at(pcm, 2 * samples), words))
        return 0  # go on

    def _listed(self, like: Any, with_languages: bool = False) -> dict[str, str]:
        """Names to identifiers: every voice's own, and for each language the voice that ranks it first."""
        voices, at = self._native.espeak_ListVoices(like), 0
        found: dict[str, str] = {}
        ranks: dict[str, int] = {}
        while voices[at]:
            voice = voices[at].contents
            identifier = voice.identifier.decode()
            found[identifier.lower()] = identifier
            for rank, language in _languages(voice.languages) if with_languages else ():
                if rank < ranks.get(language, 256):
                    ranks[language], found[language] = rank, identifier
            at += 1
        return found


@cache
def _library() -> _Library:
    return _Library()


def _declared(native: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of what is called, as in speak_lib.h."""
    text, number, size = ctypes.c_char_p, ctypes.c_int, ctypes.c_uint
    native.espeak_Initialize.argtypes = [number, number, text, number]
    native.espeak_SetSynthCallback.argtypes, native.espeak_SetSynthCallback.restype = [_Callback], None
    native.espeak_SetVoiceByName.argtypes = [text]
    native.espeak_SetParameter.argtypes = [number, number, number]
    native.espeak_ListVoices.argtypes = [ctypes.c_void_p]
    native.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
    native.espeak_Synth.argtypes = [
        text, ctypes.c_size_t, size, number, size, size, ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    return native


def _languages(address: int) -> Iterator[tuple[int, str]]:
    """(rank, name) of each language in espeak's packed list; a smaller rank is a better match."""
    while rank := ctypes.string_at(address, 1)[0]:
        name = ctypes.string_at(address + 1)
        yield rank, name.decode()
        address += len(name) + 2


def _words(text: str, events: list[tuple[int, int]]) -> tuple[Word, ...]:
    """Where words begin. Espeak also tells of the parts of a number ("25" is two words to it): those are left out."""
    return tuple(Word(char=char, sample=sample) for char, sample in events if _begins_word(text, char))


def _begins_word(text: str, char: int) -> bool:
    if not 0 <= char < len(text):
        return False
    before = text[char - 1 : char]
    return not (before.isascii() and before.isalnum()) or not text[char].isascii()


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """(offset, piece) of at most PIECE characters, cut after white space where there is any; only what can be said."""
    at = 0
    while at < len(text):
        end = len(text)
        if end - at > PIECE:
            space = text.rfind(" ", at, at + PIECE)
            end = space + 1 if space > at else at + PIECE
        if any(unicodedata.category(c)[0] in "LN" for c in text[at:end]):
            yield at, text[at:end]
        at = end


def _few(close: list[str], every: Iterable[str]) -> str:
    return ", ".join(close or sorted(every)[:12])
