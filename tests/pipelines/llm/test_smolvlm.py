"""The reference implementation's own record of a tiny model of SmolVLM's architecture, reproduced.

models/fixtures/make_smolvlm.py makes the model and the record.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import image
from pipelines.llm import Ended, Message, Picture, Sampling, Token
from pipelines.llm import onnx as llm_onnx
from pipelines.vision import _pixels
from pipelines.vision import onnx as vision_onnx

FOLDER = Path(__file__).parents[2] / "fixtures/smolvlm"
RECORD = json.loads((FOLDER / "record.json").read_text())


@pytest.fixture(scope="module")
def encoder() -> vision_onnx.Engine:
    return vision_onnx.Engine(vision_onnx.Options(model=str(FOLDER)))


@pytest.fixture(scope="module")
def model() -> llm_onnx.Engine:
    return llm_onnx.Engine(llm_onnx.Options(model=str(FOLDER), chunk=50))


def shown(name: str) -> image.Picture:
    return image.decode((FOLDER / name).read_bytes())


@pytest.mark.parametrize("row", range(len(RECORD["splits"])))
def test_tiles_are_the_references(encoder: vision_onnx.Engine, row: int) -> None:
    split = RECORD["splits"][row]
    tiles, grid = _pixels.tiles(shown(split["picture"]), encoder._preprocessor)
    assert list(grid) == split["grid"]
    assert list(tiles.shape) == split["shape"]
    assert np.allclose([tile.mean() for tile in tiles], split["means"], atol=2e-6)
    for tile, samples in zip(tiles, split["samples"], strict=True):
        assert np.allclose(tile.reshape(-1)[::1009], samples, atol=2e-6)


def test_grids_with_the_numbers_of_the_published_model() -> None:
    for height, width, rows, columns in RECORD["full_size_splits"]:
        full = _pixels.whole_tiles(*_pixels.scaled(height, width, 2048), 512)
        assert (full[0] // 512, full[1] // 512) == (rows, columns), (height, width)


def conversation(described: Any, encoder: vision_onnx.Engine) -> list[Message]:
    messages = []
    for role, parts in described:
        content: list[str | Picture] = []
        for part in parts:
            if part.endswith(".png"):
                encoding = encoder.encode(shown(part))
                content.append(Picture(part, encoding.rows, encoding.grid))
            else:
                content.append(part)
        messages.append(Message(role, tuple(content)))
    return messages


@pytest.mark.parametrize("row", range(len(RECORD["prompts"])))
def test_prompts_and_greedy_tokens_are_the_references(
    encoder: vision_onnx.Engine, model: llm_onnx.Engine, row: int
) -> None:
    prompt = RECORD["prompts"][row]
    messages = conversation(prompt["conversation"], encoder)
    image_token = 4
    cells = model._prompts.cells(messages, generate=True)
    assert [cell if isinstance(cell, int) else image_token for cell in cells] == prompt["ids"]
    assert model.count(messages) == len(prompt["ids"])

    events = list(model.reply(messages, Sampling(max_tokens=len(prompt["greedy"])), owner=str(row)))
    assert isinstance(events[-1], Ended)
    slot = next(slot for slot in model._caches.slots if slot.owner == str(row))
    assert slot.cells[len(cells) :] == prompt["greedy"]
    text = "".join(event.text for event in events if isinstance(event, Token))
    assert text == prompt["text"].strip().rstrip("\ufffd")


def test_a_second_turn_computes_only_what_is_new(encoder: vision_onnx.Engine, model: llm_onnx.Engine) -> None:
    question = conversation([("user", ["wide.png", "What?"])], encoder)
    events = list(model.reply(question, Sampling(max_tokens=3), owner="second"))
    assert isinstance(events[-1], Ended)
    said = "".join(event.text for event in events if isinstance(event, Token))
    follow_up = [*question, Message("assistant", (said,)), Message("user", ("And now?",))]
    ended = list(model.reply(follow_up, Sampling(max_tokens=1), owner="second"))[-1]
    assert isinstance(ended, Ended)
    assert ended.cached_tokens >= events[-1].prompt_tokens


def test_smaller_pictures_make_fewer_tiles() -> None:
    small = vision_onnx.Engine(vision_onnx.Options(model=str(FOLDER), longest_edge=64))
    assert small.encode(shown("wide.png")).grid == (0, 0)
    assert small.encode(shown("wide.png")).rows.shape == (4, 48)
    assert vision_onnx.Engine(vision_onnx.Options(model=str(FOLDER), longest_edge=128)).encode(
        shown("wide.png")
    ).grid == (2, 2)
