"""openWakeWord's three stages on made networks of the right shapes: loudness goes through all of them unchanged. And on
those that are published, where `make models-for-tests` fetched them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from assistant.commands import _wake, _wake_scene
from pipelines import wakeword
from pipelines.engine import EngineError
from pipelines.wakeword import Detection
from pipelines.wakeword.openwakeword import LATEST, OVERLAP, STEP, WINDOW, Engine, Options
from tests.fetched import fetched

onnx = pytest.importorskip("onnx")


def save(path: Path, nodes: list[Any], given: list[Any], wanted: list[Any], **constants: Any) -> str:
    helper = onnx.helper
    weights = [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("input_1", onnx.TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, wanted)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return str(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A mel spectrum that is the mean loudness of the step in every band of its 8 frames; an embedding that is the
    mean of the newest of them; and phrases that are the newest embedding, or the mean of all of them, over 1000."""
    folder, node = tmp_path_factory.mktemp("oww"), onnx.helper.make_node
    i64 = np.int64
    mel = [
        node("Abs", ["input_1"], ["loud"]),
        node("ReduceMean", ["loud"], ["mean"], axes=[1], keepdims=1),
        node("Reshape", ["mean", "one"], ["single"]),
        node("Expand", ["single", "shape"], ["output"]),
    ]
    shapes = {"one": np.array([1, 1, 1, 1], i64), "shape": np.array([1, 1, 8, 32], i64)}
    embedding = [
        node("Slice", ["input_1", "from", "to", "axis"], ["newest"]),
        node("ReduceMean", ["newest"], ["mean"], axes=[1, 2, 3], keepdims=1),
        node("Expand", ["mean", "shape"], ["output"]),
    ]
    cuts = {"from": np.array([68], i64), "to": np.array([76], i64), "axis": np.array([1], i64)}
    last = [
        node("Slice", ["input_1", "from", "to", "axis"], ["newest"]),
        node("ReduceMean", ["newest"], ["mean"], axes=[1, 2], keepdims=0),
        node("Div", ["mean", "scale"], ["scaled"]),
        node("Clip", ["scaled", "zero", "top"], ["clipped"]),
        node("Reshape", ["clipped", "shape"], ["output"]),
    ]
    numbers = {"scale": np.float32(100), "zero": np.float32(0), "top": np.float32(1), "shape": np.array([1, 1], i64)}

    def phrase(name: str, first: int) -> str:
        given = {"from": np.array([first], i64), "to": np.array([16], i64), "axis": np.array([1], i64)}
        return save(folder / name, last, [1, 16, 96], [1, 1], **given, **numbers)

    return {
        "mel": save(folder / "melspectrogram.onnx", mel, [1, "samples"], ["a", "b", "c", "d"], **shapes),
        "embedding": save(
            folder / "embedding_model.onnx",
            embedding,
            ["n", 76, 32, 1],
            ["n", 1, 1, 96],
            **cuts,
            shape=np.array([1, 1, 1, 96], i64),
        ),
        "quick": phrase("quick.onnx", 15),
        "slow": phrase("slow.onnx", 0),
    }


def spotter(files: dict[str, str], **options: Any) -> wakeword.Spotter:
    given = {"melspectrogram": files["mel"], "embedding": files["embedding"], "phrases": {"hey you": files["quick"]}}
    return wakeword.load("openwakeword", given | options)


def sound(*parts: tuple[float, int]) -> NDArray[np.int16]:
    """(seconds, level) one after the other."""
    return np.concatenate([np.full(int(seconds * 16_000), level, np.int16) for seconds, level in parts])


def hear(subject: wakeword.Spotter, pcm: NDArray[np.int16], block: int = 320) -> list[Detection]:
    return [found for at in range(0, len(pcm), block) for found in subject.feed(pcm[at : at + block])]


@pytest.mark.parametrize("block", [1, 320, 1280, 50_000])
def test_a_phrase_is_told_once_each_time(files: dict[str, str], block: int) -> None:
    subject = spotter(files)
    pcm = sound((1, 0), (0.5, 800), (1, 0), (0.5, 800), (0.5, 0))
    found = hear(subject, pcm[: 21_000 if block == 1 else len(pcm)], block)
    assert [one.phrase for one in found] == ["hey you"] * (1 if block == 1 else 2)
    onset = 16_000
    assert (
        0 <= found[0].end + LATEST - onset <= 2 * STEP
    )  # believed two steps after the onset, and told as the earliest
    assert 0.5 <= found[0].score <= 1.0


def test_each_phrase_has_its_network_and_its_threshold(files: dict[str, str]) -> None:
    phrases = {"hey you": files["quick"], "hello there": files["slow"]}
    pcm = sound((1, 0), (0.5, 800), (1.5, 0))
    assert [found.phrase for found in hear(spotter(files, phrases=phrases), pcm)] == ["hey you"]
    low = spotter(files, phrases=phrases, thresholds={"hello there": 0.2})
    assert {found.phrase for found in hear(low, pcm)} == {"hey you", "hello there"}


def test_the_first_moments_are_not_judged(files: dict[str, str]) -> None:
    subject = spotter(files)
    assert hear(subject, sound((0.4, 800))) == []
    hear(subject, sound((1, 0)))
    subject.reset()
    assert hear(subject, sound((0.4, 800))) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"phrases": {}}, "openwakeword needs phrases"),
        ({"phrases": {"x": "/no/such.onnx"}}, "there is no file /no/such.onnx"),
        ({"thresholds": {"x": 0.5}}, "a threshold for 'x', which is none of the phrases"),
        ({"melspectrogram": ""}, "melspectrogram"),
    ],
)
def test_what_is_not_in_order_is_named(files: dict[str, str], options: dict[str, Any], words: str) -> None:
    with pytest.raises(EngineError, match=words):
        spotter(files, **options)


def test_files_that_are_swapped_are_named(files: dict[str, str]) -> None:
    with pytest.raises(EngineError, match=r"quick.onnx is none of openWakeWord's files .* not \[1, 76, 32, 1\]"):
        spotter(files, embedding=files["quick"])
    with pytest.raises(EngineError, match=r"embedding_model.onnx is none of openWakeWord's .* not \[1, n, 96\]"):
        spotter(files, phrases={"x": files["embedding"]})
    with pytest.raises(EngineError, match=r"embedding_model.onnx does not work|no mel spectrum"):
        hear(spotter(files, melspectrogram=files["embedding"]), sound((1, 0)))


def published(*phrases: str) -> Engine:
    return Engine(
        Options(
            melspectrogram=str(fetched("melspectrogram.onnx")),
            embedding=str(fetched("embedding_model.onnx")),
            phrases={phrase: str(fetched(f"{phrase.replace(' ', '_')}_v0.1.onnx")) for phrase in phrases},
        )
    )


def test_the_published_networks_hear_their_phrase_and_where_it_ends() -> None:
    subject, scene = published("hey jarvis", "hey mycroft", "alexa"), _wake_scene.Scene(3)
    ends = []
    for _ in _wake_scene.ESPEAK:
        call = scene.speech("hey jarvis")
        subject.reset()
        found = hear(subject, scene.noisy([np.zeros(24_000), call, np.zeros(16_000)], None, 0))
        assert [one.phrase for one in found] == ["hey jarvis"]
        ends.append((found[0].end - 24_000 - len(call)) / 16)
    assert all(-400 < end < 150 for end in ends), "ms"
    assert abs(float(np.median(ends))) < 100


def test_an_hour_begins_without_a_phrase() -> None:
    """What comes before the first sound is silence; where it was nothing at all, each start woke "alexa"."""
    subject, scene = published("hey jarvis", "alexa"), _wake_scene.Scene(3)
    for _ in range(3):
        subject.reset()
        assert hear(subject, scene.noisy([np.zeros(32_000)], None, 0)) == []
    assert _wake.mistakes(subject, scene, 0.2) == 0


def test_the_stream_is_cut_up_as_the_networks_were_trained() -> None:
    """The whole sound at once, as the published trainer takes it, gives the scores of the stream."""
    scene = _wake_scene.Scene(3)
    pcm = scene.noisy([np.zeros(24_000), scene.speech("hey jarvis"), np.zeros(16_000)], 20, 0)
    pcm, subject = np.concatenate([np.zeros(OVERLAP, np.int16), pcm]), published("hey jarvis")
    steps = range(0, len(pcm) - OVERLAP - STEP + 1, STEP)
    streamed = [subject.scores(pcm[at : at + OVERLAP + STEP])["hey jarvis"] for at in steps]
    session = {
        name: onnxruntime.InferenceSession(str(fetched(f"{name}.onnx")), providers=["CPUExecutionProvider"])
        for name in ("melspectrogram", "embedding_model", "hey_jarvis_v0.1")
    }

    def run(name: str, given: NDArray[Any]) -> NDArray[np.float32]:
        network = session[name]
        return np.asarray(network.run(None, {network.get_inputs()[0].name: given.astype(np.float32)})[0], np.float32)

    mel = run("melspectrogram", pcm[None]).reshape(-1, 32) / 10 + 2
    ends = [
        (number + 1) * 8 for number in range(len(steps))
    ]  # 8 frames a step; the first windows reach before the sound
    windows = np.stack([mel[end - WINDOW : end] for end in ends if end >= WINDOW])
    embedded = run("embedding_model", windows[..., None]).reshape(-1, 96)
    scores = [float(run("hey_jarvis_v0.1", embedded[None, at - 16 : at]).item()) for at in range(16, len(embedded) + 1)]
    assert max(scores) > 0.9
    assert streamed[-len(scores) :] == pytest.approx(scores, abs=0.02)
