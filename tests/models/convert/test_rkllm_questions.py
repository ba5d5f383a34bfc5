"""Calibration data: from the project's questions, in the model's own way of writing, the same each time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.core import personas
from models.convert import rkllm_questions
from models.convert.outcome import Refused
from models.convert.perplexity import LENGTH, perplexity
from tests.models.convert import llms


def test_the_projects_questions_in_both_languages() -> None:
    found = list(rkllm_questions.conversations())
    assert found == list(rkllm_questions.conversations())
    asked = [question for _, question, _ in found]
    assert set(personas.PRESETS) <= set(asked)
    examples = [q for p in personas.PERSONAS.values() for pairs in p.examples.values() for q, _ in pairs]
    assert set(examples) <= set(asked)
    scenes = [question for question in asked if question not in {*personas.PRESETS, *examples}]
    assert len(scenes) == rkllm_questions.SCENES
    assert sum(question.startswith("[照片：") for question in scenes) == rkllm_questions.SCENES // 2
    assert len(set(asked)) == len(asked)
    assert all(said.strip() for _, _, said in found)


def test_written_as_the_toolkit_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data.json"
    count = rkllm_questions.write(path, rkllm_questions.plain)
    assert rkllm_questions.check(path) == count == len(list(rkllm_questions.conversations()))
    first = json.loads(path.read_text())[0]
    assert set(first) == {"input", "target"}
    assert first["input"].endswith("\nAssistant: ")


def test_the_models_own_template(tmp_path: Path) -> None:
    template = rkllm_questions.of_model(llms.folder(tmp_path))
    assert template is not None
    assert template("be brief", "is it on") == rkllm_questions.chatml("be brief", "is it on")


@pytest.mark.parametrize(
    "source",
    [
        # takes parts only; refuses a system prompt
        "{% for m in messages %}{% for part in m['content'] %}{{ part['text'] }};{% endfor %}{% endfor %}",
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
        "{{ m['content'] }};{% endfor %}",
    ],
)
def test_templates_of_other_kinds(tmp_path: Path, source: str) -> None:
    llms.folder(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(source)
    template = rkllm_questions.of_model(tmp_path)
    assert template is not None
    rendered = template("be brief", "is it on")
    assert "be brief" in rendered
    assert rendered.endswith("is it on;")
    assert "type" not in rendered


def test_a_template_that_cannot_be_used(tmp_path: Path) -> None:
    llms.folder(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].__class__.__mro__ }}")
    template = rkllm_questions.of_model(tmp_path)
    assert template is not None
    with pytest.raises(Refused, match="--template chatml"):
        template("be brief", "is it on")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        ("{", "is no JSON"),
        ("[]", "is no list"),
        ('{"input": "a"}', "is no list"),
        ('[{"input": "a", "target": ""}, {"input": "b"}]', "entry 1"),
        ('[{"input": " ", "target": "c"}]', "entry 0"),
        ('[{"sample": "llm_inputs/0", "token_nums": 9}]', "names llm_inputs/0, which is not beside it"),
    ],
)
def test_calibration_that_the_toolkit_could_not_use(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "data.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Refused, match=says):
        rkllm_questions.check(path)


def test_embeddings_of_pictures_are_taken(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"pickled")
    (tmp_path / "data.json").write_text('[{"sample": "0", "token_nums": 9}]')
    assert rkllm_questions.check(tmp_path / "data.json") == 1


def test_perplexity_of_a_model_that_knows_the_next_word() -> None:
    ids = np.arange(LENGTH * 3)[np.newaxis] % 7
    shown: list[tuple[int, int]] = []

    def knows(piece: NDArray[Any]) -> Any:
        return np.eye(7)[np.roll(piece, -1)] * 100

    def told(done: int, total: int) -> None:
        shown.append((done, total))

    assert perplexity(ids, knows, told) == pytest.approx(1.0)
    assert shown == [(1, 3), (2, 3), (3, 3)]
    assert perplexity(ids, lambda piece: np.zeros((1, LENGTH, 7)), told, most=LENGTH) == pytest.approx(7.0)
    with pytest.raises(ValueError, match="the least"):
        perplexity(ids[:, :100], knows, told)
    with pytest.raises(ValueError, match="no logits"):
        perplexity(ids, lambda piece: None, told)
