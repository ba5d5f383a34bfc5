"""Model folders that are in order are read; whatever is wrong with one is said with folder, file, key and mend."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from pipelines import llm, vision
from pipelines.engine import EngineError
from pipelines.modelfolder import FAMILIES, ModelFolder, files, runs
from tests.pipelines.modelfolder import tiny

SMOLVLM = Path(__file__).parents[2] / "fixtures/smolvlm"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("good"))


@pytest.fixture
def folder(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


def change(folder: Path, name: str, **keys: Any) -> None:
    """Set keys of a JSON file; a dotted key reaches into it, and ... removes."""
    content = json.loads((folder / name).read_text())
    for dotted, value in keys.items():
        *outer, last = dotted.split(".")
        inner = content
        for key in outer:
            inner = inner[key]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
    (folder / name).write_text(json.dumps(content))


def test_what_a_folder_says(good: Path) -> None:
    read = ModelFolder(good)
    assert (read.family, read.image_seq_len, read.text.hidden_size) == ("single", 4, 32)
    assert read.ends() == {read.config.eos_token_id}
    settings = read.preprocessor()
    assert (settings.size.height, settings.do_pad, settings.pad_color) == (32, True, (127, 127, 127))
    smolvlm = ModelFolder(SMOLVLM)
    assert (smolvlm.family, smolvlm.image_seq_len, set(smolvlm.ends())) == ("tiles", 4, {5})


def test_image_tokens_are_computed_where_the_processor_does_not_say(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SMOLVLM, tmp_path / "model"))
    (folder / "processor_config.json").unlink()
    assert ModelFolder(folder).image_seq_len == (64 // 16) ** 2 // 2**2


@pytest.mark.parametrize(
    ("family", "grid", "expected"), [("single", (0, 0), 1), ("tiles", (0, 0), 1), ("tiles", (3, 4), 13)]
)
def test_runs_of_a_picture(family: Any, grid: tuple[int, int], expected: int) -> None:
    assert runs(family, grid) == expected


def test_every_family_is_known_to_both_engines() -> None:
    from pipelines.llm._prompt import EXPANSIONS
    from pipelines.vision._pixels import PREPARATIONS

    assert set(FAMILIES.values()) == set(EXPANSIONS) == set(PREPARATIONS)


Damage = Callable[[Path], Any]
# What is done to a good folder, and what the complaint must hold beside the folder's path.
BAD: dict[str, tuple[Damage, str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "has no config.json; download"),
    "cut config": (lambda f: (f / "config.json").write_text('{"model_type": "pico_'), "config.json: is damaged"),
    "binary config": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json: is damaged"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "config.json: Expected `object`"),
    "config is a folder": (lambda f: replaced_by_folder(f / "config.json"), "config.json: cannot be read"),
    "unknown type": (lambda f: change(f, "config.json", model_type="llava"), "model_type 'llava'.*idefics3"),
    "no decoder config": (lambda f: change(f, "config.json", text_config=...), "`text_config`"),
    "no width": (
        lambda f: change(f, "config.json", **{"text_config.hidden_size": ...}),
        "`hidden_size` - at `text_config`",
    ),
    "width is text": (
        lambda f: change(f, "config.json", **{"text_config.hidden_size": "32"}),
        "Expected `int`, got `str` - at `text_config.hidden_size`; correct it",
    ),
    "negative width": (
        lambda f: change(f, "config.json", **{"text_config.hidden_size": -32}),
        ">= 1 - at `text_config.hidden_size`",
    ),
    "absurd layers": (
        lambda f: change(f, "config.json", **{"text_config.num_hidden_layers": 10**12}),
        "<= 1000000 - at `text_config.num_hidden_layers`",
    ),
    "image token outside": (
        lambda f: change(f, "config.json", image_token_id=320),
        "image_token_id 320 is outside text_config.vocab_size 320",
    ),
    "no tokens of an image": (
        lambda f: change(f, "processor_config.json", image_seq_len=0),
        ">= 1 - at `image_seq_len`",
    ),
    "no processor": (lambda f: (f / "processor_config.json").unlink(), "image_seq_len is missing"),
    "no end": (lambda f: endless(f), "eos_token_id is missing"),
    "no preprocessor": (lambda f: (f / "preprocessor_config.json").unlink(), "has no preprocessor_config.json"),
    "zero deviation": (
        lambda f: change(f, "preprocessor_config.json", image_std=[0.5, 0, 0.5]),
        r"> 0.0 - at `image_std\[1\]`",
    ),
    "two means": (lambda f: change(f, "preprocessor_config.json", image_mean=[0.5, 0.5]), "at `image_mean`"),
    "no height": (
        lambda f: change(f, "preprocessor_config.json", **{"size.height": ...}),
        "size.height is missing",
    ),
    "another height": (
        lambda f: change(f, "preprocessor_config.json", **{"size.height": 48}),
        "size.height is 48, but config.json: vision_config.image_size is 32",
    ),
    "unknown filter": (lambda f: change(f, "preprocessor_config.json", resample=9), "<= 5 - at `resample`"),
    "pad colour": (lambda f: change(f, "preprocessor_config.json", pad_color=[0, 0, 300]), r"`pad_color\[2\]`"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer.json"),
    "cut tokenizer": (
        lambda f: (f / "tokenizer.json").write_bytes((f / "tokenizer.json").read_bytes()[:900]),
        "tokenizer.json: is damaged",
    ),
    "tokenizer of another model": (
        lambda f: change(f, "config.json", **{"text_config.vocab_size": 300}),
        "text_config.vocab_size is 300",
    ),
    "image token that is none": (
        lambda f: change(f, "config.json", image_token="<picture>"),
        "no token '<picture>', which config.json names",
    ),
    "no template": (lambda f: (f / "chat_template.jinja").unlink(), "has no chat template"),
    "damaged template": (
        lambda f: (f / "chat_template.jinja").write_text("{% for message in"),
        "chat_template.jinja: the chat template is damaged",
    ),
    "binary template": (lambda f: (f / "chat_template.jinja").write_bytes(b"\xff\xff"), "jinja: is damaged"),
    "no decoder": (lambda f: graph(f, "decoder_model_merged").unlink(), r"has no onnx/decoder_model_merged\*.onnx"),
    "cut decoder": (lambda f: cut(graph(f, "decoder_model_merged")), "decoder_model_merged_quantized.onnx cannot be"),
    "garbage embedder": (
        lambda f: graph(f, "embed_tokens").write_bytes(bytes(99)),
        "embed_tokens_quantized.onnx cannot",
    ),
    "cut encoder": (lambda f: cut(graph(f, "vision_encoder")), "vision_encoder_quantized.onnx cannot be opened"),
    "weights outside": (
        lambda f: outside(graph(f, "decoder_model_merged")),
        "merged_quantized.onnx_data, which is missing",
    ),
    "encoder as decoder": (
        lambda f: shutil.copy(graph(f, "vision_encoder"), graph(f, "decoder_model_merged")),
        "has no inputs_embeds, logits; it is not a merged decoder",
    ),
    "decoder as encoder": (
        lambda f: shutil.copy(graph(f, "decoder_model_merged"), graph(f, "vision_encoder")),
        "this engine is for graphs that take pixel_values",
    ),
    "encoder of another width": (
        lambda f: tiny.vision(graph(f, "vision_encoder"), 32, 4, 40),
        "gives 4 rows 40 wide for a tile, where the decoder expects 4 rows 32 wide",
    ),
    "encoder with more tokens": (
        lambda f: tiny.vision(graph(f, "vision_encoder"), 32, 8, 32),
        "gives 8 rows 32 wide for a tile, where the decoder expects 4 rows",
    ),
    "embedder of another width": (
        lambda f: tiny.embed(graph(f, "embed_tokens"), 320, 40),
        "rows are 40 wide, but config.json: text_config.hidden_size is 32",
    ),
    "more layers": (
        lambda f: change(f, "config.json", **{"text_config.num_hidden_layers": 3}),
        "caches 2 layers, but config.json: text_config.num_hidden_layers is 3",
    ),
    "more heads": (
        lambda f: change(f, "config.json", **{"text_config.num_key_value_heads": 4}),
        "says 2, but config.json: text_config.num_key_value_heads says 4",
    ),
    "another head": (
        lambda f: change(f, "config.json", **{"text_config.head_dim": 16}),
        "says 8, but config.json: text_config.head_dim says 16",
    ),
    "strange input": (lambda f: renamed(graph(f, "decoder_model_merged")), "wants token_types, which this engine"),
    "logits that are none": (
        lambda f: tiny.embed(graph(f, "embed_tokens"), 320, 32, fill=float("nan")),
        "gives logits that are no numbers",
    ),
}


def graph(folder: Path, name: str) -> Path:
    return folder / f"onnx/{name}_quantized.onnx"


def replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def endless(folder: Path) -> None:
    change(folder, "config.json", eos_token_id=...)
    (folder / "generation_config.json").unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def outside(path: Path) -> None:
    """Move the weights into a file beside the graph, and lose it."""
    model = onnx.load(str(path))
    onnx.save_model(model, str(path), save_as_external_data=True, location=f"{path.name}_data", size_threshold=0)
    path.with_name(f"{path.name}_data").unlink()


def renamed(path: Path) -> None:
    model = onnx.load(str(path))
    for node in model.graph.node:
        node.input[:] = ["token_types" if name == "position_ids" else name for name in node.input]
    model.graph.input[2].name = "token_types"
    onnx.save(model, str(path))


def both(options: dict[str, str]) -> None:
    vision.load("onnx", options)
    llm.load("onnx", options)


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_said(folder: Path, name: str) -> None:
    damage, complaint = BAD[name]
    damage(folder)
    with pytest.raises(EngineError, match=complaint) as caught:
        both({"model": str(folder)})
    assert str(folder) in str(caught.value)


def test_no_folder() -> None:
    for load in (vision.load, llm.load):
        with pytest.raises(EngineError, match="there is no model folder /nowhere/at/all"):
            load("onnx", {"model": "/nowhere/at/all"})


ONLY = ["", "_fp16", "_quantized", "_int8", "_q4", "_q4f16"]


@pytest.mark.parametrize(
    ("dtype", "graph", "present", "chosen"),
    [
        ("auto", "decoder_model_merged", ONLY, "_quantized"),
        ("auto", "embed_tokens", ONLY, "_quantized"),
        ("auto", "vision_encoder", ONLY, ""),
        ("auto", "vision_encoder", ["_quantized", "_fp16"], "_quantized"),
        ("auto", "decoder_model_merged", ["_fp16", "_q4f16", "_q4"], "_q4"),
        ("auto", "decoder_model_merged", ["_fp16", ""], ""),
        ("auto", "decoder_model_merged", ["_fp16"], "_fp16"),
        ("q8", "embed_tokens", ["_uint8", "_int8"], "_int8"),
        ("fp32", "embed_tokens", ONLY, ""),
        ("q4f16", "embed_tokens", ONLY, "_q4f16"),
    ],
)
def test_which_file_a_dtype_means(tmp_path: Path, dtype: str, graph: str, present: list[str], chosen: str) -> None:
    (tmp_path / "onnx").mkdir()
    for suffix in present:
        (tmp_path / f"onnx/{graph}{suffix}.onnx").touch()
    assert files.choose(tmp_path, graph, dtype).name == f"{graph}{chosen}.onnx"


def test_a_dtype_that_is_not_there(good: Path) -> None:
    with pytest.raises(EngineError, match=r"has no onnx/embed_tokens_q4.onnx; it has embed_tokens as: q8; set dtype"):
        files.choose(good, "embed_tokens", "q4")
    with pytest.raises(EngineError, match="no dtype 'q5'; choose one of: auto, fp32"):
        llm.load("onnx", {"model": str(good), "dtype": "q5"})


def test_auto_knows_every_dtype_of_every_graph() -> None:
    for order in files.AUTO.values():
        reached = {suffix for dtype in order for suffix in files.DTYPES[dtype]}
        assert reached == {suffix for suffixes in files.DTYPES.values() for suffix in suffixes}


def test_options_can_be_read_without_the_libraries() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pipelines import engine\n"
        "for role in ('vision', 'llm'): engine.options(role, 'onnx', {'model': 'x'})\n"
        "print(sorted({'onnxruntime', 'tokenizers', 'jinja2', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_values_are_what_the_settings_say(good: Path) -> None:
    from pipelines.vision._pixels import values

    levels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3) * 20
    settings = ModelFolder(good).preprocessor()
    expected = (levels.transpose(0, 3, 1, 2) / 255 - 0.5) / 0.25
    assert np.allclose(values(levels, settings), expected, atol=1e-6)
