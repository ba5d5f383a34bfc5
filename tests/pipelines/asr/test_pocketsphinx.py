"""The contract of a recognizer, on the embedded engine: what fits is understood, what does not is refused.

The shares are of the committed set (tests/speech): voices and foreign sentences other than those that the limits
were chosen on. Longer series of the same figures stand in tests/speech/README.md.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines import asr
from pipelines.asr import pocketsphinx
from pipelines.audio import wav
from pipelines.engine import EngineError

SPEECH = Path(__file__).parents[2] / "speech"
DEMO = Path(__file__).parents[3] / "config" / "demo" / "speech"
VOICES = ("rms", "awb", "kal16")

PHRASES = """what do you see | what is on the table | what color is the <kind> | what color is the lamp
 | what color is it | is there a <kind> | is there a <color> <kind> | how many objects are there
 | how many <kinds> are there
 | what is left of the <kind> | what is right of the <kind> | where is the <kind> | is the lamp on
 | what does the gauge read | and the <kind> | and the lamp | and the gauge | has the lamp changed
 | has the gauge changed | clear the conversation | stop | repeat that | hello | who are you | what can you do
 | thank you"""
OPTIONS = {
    "phrases": [" ".join(phrase.split()) for phrase in PHRASES.split("|")],
    "words": {
        "kind": ["ball", "cube", "cone", "bottle", "mug"],
        "kinds": ["balls", "cubes", "cones", "bottles", "mugs"],
        "color": ["red", "green", "blue", "yellow", "white", "purple"],
    },
}


@pytest.fixture(scope="module")
def recognizer() -> asr.Recognizer:
    return asr.load("pocketsphinx", OPTIONS)


def question(path: Path) -> NDArray[np.int16]:
    """As the microphone hands it over: with the pre-roll before it and the silence that ended it."""
    pcm = wav.read(path).pcm[:, 0]
    return np.concatenate([np.zeros(8_000, np.int16), pcm.astype(np.int16), np.zeros(8_000, np.int16)])


def heard(recognizer: asr.Recognizer, pcm: NDArray[np.int16], block: int = 320) -> tuple[asr.Recognition, list[str]]:
    """The result, and the partial texts on the way to it."""
    utterance, partials = recognizer.utterance(), []
    for at in range(0, len(pcm), block):
        partial = utterance.feed(pcm[at : at + block])
        partials += [] if partial is None else [partial]
    return utterance.finish(), partials


def words_of(path: Path) -> str:
    return path.stem.replace("-", " ")


@pytest.mark.parametrize("folder", [*(SPEECH / voice for voice in VOICES), DEMO], ids=[*VOICES, "slt"])
def test_the_phrases_are_understood_in_every_voice(recognizer: asr.Recognizer, folder: Path) -> None:
    files = sorted(folder.glob("*.wav"))
    assert len(files) >= 12
    results = {words_of(path): heard(recognizer, question(path))[0] for path in files}
    assert {said: result.text for said, result in results.items() if result.text != said} == {}
    assert {result.language for result in results.values()} == {"en"}


def test_foreign_sentences_are_refused(recognizer: asr.Recognizer) -> None:
    files = sorted((SPEECH / "foreign").glob("*.wav"))
    results = [heard(recognizer, question(path))[0] for path in files]
    refused = [result for result in results if not result.text]
    assert len(files) == 8
    assert len(refused) >= 7
    assert {result.refused for result in refused} == {"not understood"}


@pytest.mark.parametrize("gain", [0.05, 0.3])
def test_a_soft_voice_is_understood(recognizer: asr.Recognizer, gain: float) -> None:
    pcm = (question(SPEECH / "rms" / "is-there-a-green-cube.wav") * gain).astype(np.int16)
    assert heard(recognizer, pcm)[0].text == "is there a green cube"


@pytest.mark.parametrize("voice", VOICES)
def test_some_noise_does_no_harm(recognizer: asr.Recognizer, voice: str) -> None:
    path = sorted((SPEECH / voice).glob("how-many-*-are-there.wav"))[0]
    pcm = question(path).astype(np.float64)
    noise = np.random.default_rng(3).normal(0, pcm.std() / 10 ** (25 / 20), len(pcm))  # 25 dB below the speech
    assert heard(recognizer, (pcm + noise).astype(np.int16))[0].text == words_of(path)


def test_part_of_a_phrase_is_none(recognizer: asr.Recognizer) -> None:
    pcm = wav.read(SPEECH / "awb" / "what-is-on-the-table.wav").pcm[:, 0]
    assert heard(recognizer, np.concatenate([pcm[:10_000], np.zeros(8_000, np.int16)]))[0].refused == "not understood"


def test_silence_and_noise_are_told_apart(recognizer: asr.Recognizer) -> None:
    noise = np.random.default_rng(0).normal(0, 2_000, 24_000).astype(np.int16)
    assert heard(recognizer, np.zeros(24_000, np.int16))[0] == asr.Recognition(refused="silence")
    assert heard(recognizer, np.zeros(0, np.int16))[0] == asr.Recognition(refused="silence")
    assert heard(recognizer, np.ones(10, np.int16))[0] == asr.Recognition(refused="silence")
    assert heard(recognizer, noise)[0] == asr.Recognition(refused="not understood")


def test_what_is_too_long_for_any_phrase_is_refused() -> None:
    hasty = asr.load("pocketsphinx", {"phrases": ["what do you see", "stop"], "longest_s": 1.2})
    assert heard(hasty, question(SPEECH / "rms" / "what-do-you-see.wav"))[0].refused == "not understood"
    assert heard(hasty, question(SPEECH / "kal16" / "stop.wav"))[0].text == "stop"


def test_silence_around_the_speech_is_not_decoded(recognizer: asr.Recognizer) -> None:
    utterance, second = recognizer.utterance(), np.zeros(asr.RATE, np.int16)
    assert isinstance(utterance, pocketsphinx.Utterance)
    loud = (3000 * np.sin(np.arange(asr.RATE))).astype(np.int16)
    for pcm in (second, loud, second):
        utterance.feed(pcm)
    utterance.finish()
    assert 1.0 <= utterance.decoded_s <= 1.4


def test_the_pause_tells_what_the_end_confirms(recognizer: asr.Recognizer) -> None:
    pcm = question(SPEECH / "awb" / "is-the-lamp-on.wav")
    assert heard(recognizer, pcm) == (asr.Recognition(text="is the lamp on", language="en"), ["is the lamp on"])
    silent = asr.load("pocketsphinx", {**OPTIONS, "partials": False})
    assert heard(silent, pcm) == (asr.Recognition(text="is the lamp on", language="en"), [])


def test_a_guess_in_a_pause_is_the_result_and_decoded_once(
    recognizer: asr.Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    decode = pocketsphinx.Engine.decode

    def counted(self: pocketsphinx.Engine, pcm: NDArray[np.int16]) -> str:
        decoded.append(len(pcm))
        return decode(self, pcm)

    monkeypatch.setattr(pocketsphinx.Engine, "decode", counted)
    pcm, utterance = question(SPEECH / "awb" / "is-the-lamp-on.wav"), recognizer.utterance()
    utterance.feed(pcm[: len(pcm) - 4_800])  # 200 ms of silence
    result = utterance.so_far()
    assert result == asr.Recognition(text="is the lamp on", language="en")
    utterance.feed(pcm[len(pcm) - 4_800 :])
    assert utterance.finish() == result
    assert len(decoded) == 1


def test_speech_that_goes_on_after_a_pause_is_one_phrase(recognizer: asr.Recognizer) -> None:
    pcm = wav.read(SPEECH / "rms" / "where-is-the-ball.wav").pcm[:, 0].astype(np.int16)
    quietest = 6_400 + int(np.argmin(np.convolve(np.abs(pcm[6_400:12_000]).astype(float), np.ones(160), "valid")))
    halves = [pcm[:quietest], np.zeros(4_800, np.int16), pcm[quietest:], np.zeros(8_000, np.int16)]
    assert heard(recognizer, np.concatenate(halves))[0].text in ("where is the ball", "")  # and never half of it


def test_how_it_is_cut_and_what_came_before_change_nothing(recognizer: asr.Recognizer) -> None:
    pcm = question(SPEECH / "kal16" / "is-there-a-yellow-bottle.wav")
    first = heard(recognizer, pcm)
    heard(recognizer, np.random.default_rng(0).normal(0, 5_000, 16_000).astype(np.int16))
    assert [heard(recognizer, pcm, block) for block in (1, 777, len(pcm))][1:] == [first] * 2


def test_several_utterances_are_open_at_once(recognizer: asr.Recognizer) -> None:
    paths = [SPEECH / "rms" / "hello.wav", SPEECH / "awb" / "repeat-that.wav"]
    sounds = [question(path) for path in paths]
    utterances = [recognizer.utterance() for _ in paths]
    for at in range(0, max(map(len, sounds)), 1_600):
        for utterance, pcm in zip(utterances, sounds, strict=True):
            utterance.feed(pcm[at : at + 1_600])
    assert [utterance.finish().text for utterance in utterances] == ["hello", "repeat that"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phrases": []}, "needs phrases"),
        ({"phrases": ["stop", " "]}, "a phrase is empty"),
        ({"phrases": ["where is the frobnicator"]}, "no word 'frobnicator'"),
        ({"phrases": ["what is <this>"]}, "needs words for <this>; there are words for: none"),
        ({"phrases": ["what is <this>"], "words": {"this": []}}, "needs words for <this>"),
        ({"phrases": ["give me 5"]}, "'5'; write it as it is spoken"),
        ({"phrases": ["stop | go"]}, "holds '|'"),
        ({"phrases": ["hello <kind"]}, "holds '<kind'"),
        ({"phrases": ["<a>"], "words": {"a": ["b;"]}}, "the words of 'a'"),
        ({"phrases": ["pico"], "pronunciations": {"pico": "PIKO"}}, "not made of ARPAbet phones"),
        ({"phrases": ["stop"], "language": "zh"}, "language"),
        ({}, "phrases"),
    ],
)
def test_what_is_not_in_order_is_named(options: dict[str, object], words: str) -> None:
    with pytest.raises(EngineError) as error:
        asr.load("pocketsphinx", options)
    assert words in str(error.value)


def test_a_word_can_be_taught() -> None:
    options = {"phrases": ["Wot Culler is it", "hello"], "pronunciations": {"wot": "W AH T", "culler": "K AH L ER"}}
    taught = asr.load("pocketsphinx", options)
    assert heard(taught, question(SPEECH / "awb" / "what-color-is-it.wav"))[0].text == "wot culler is it"


def test_a_known_word_can_sound_otherwise() -> None:
    taught = asr.load("pocketsphinx", {"phrases": ["thank you"], "pronunciations": {"thank": "HH AH", "you": "L OW"}})
    assert heard(taught, question(SPEECH / "rms" / "hello.wav"))[0].text == "thank you"
