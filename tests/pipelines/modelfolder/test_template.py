"""Chat templates: where they are found, what they may use, and what they may not."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine import EngineError
from pipelines.modelfolder import ModelFolder
from pipelines.modelfolder.template import ChatTemplate
from tests.pipelines.modelfolder import tiny

TALK = [
    {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is <this>?"}]},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tiny.make(tmp_path / "model")
    (made / "chat_template.jinja").unlink()
    return made


def rendered(folder: Path, source: str, messages: Any = TALK, generate: bool = True) -> str:
    (folder / "chat_template.jinja").write_text(source)
    return ChatTemplate(ModelFolder(folder)).render(messages, generate)


def test_blocks_leave_no_line_of_their_own(folder: Path) -> None:
    source = "{% for message in messages %}\n  {% if true %}\n{{ message['role'] }}\n  {% endif %}\n{% endfor %}"
    assert rendered(folder, source) == "system\nuser\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ {'a': '<b>'} | tojson }}", '{"a": "<b>"}'),
        ("{{ {'b': 1, 'a': '你'} | tojson(sort_keys=true, indent=1) }}", '{\n "a": "你",\n "b": 1\n}'),
        ("{{ eos_token }}{{ bos_token }}", "<|end|>"),
        ("{{ strftime_now('%Y') }}", str(datetime.datetime.now().year)),
        ("{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}{% endfor %}", "user"),
        ("{% if add_generation_prompt %}yes{% endif %}{{ tools }}", "yesNone"),
    ],
)
def test_what_templates_may_use(folder: Path, source: str, expected: str) -> None:
    assert rendered(folder, source) == expected


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("{{ raise_exception('no system message, please') }}", "no system message, please"),
        ("{{ messages.append(1) }}", "append"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ messages[7].role.upper() }}", "chat_template.jinja: the chat template refuses"),
    ],
)
def test_what_a_template_refuses_or_may_not_do(folder: Path, source: str, complaint: str) -> None:
    with pytest.raises(EngineError, match=complaint):
        rendered(folder, source)


def test_a_template_for_text_gets_text(folder: Path) -> None:
    source = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] | trim }}\n{% endfor %}"
    assert rendered(folder, source) == "[system] Be brief.\n[user] <image>What is <this>?\n"
    joined = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }};{% endfor %}"
    assert rendered(folder, joined) == "system: Be brief.;user: <image>What is <this>?;"


def test_where_a_template_is_found(folder: Path) -> None:
    settings = folder / "tokenizer_config.json"
    with pytest.raises(EngineError, match="has no chat template"):
        ChatTemplate(ModelFolder(folder))
    settings.write_text(json.dumps({"chat_template": [{"name": "rag", "template": "r"}]}))
    with pytest.raises(EngineError, match="has no chat template"):
        ChatTemplate(ModelFolder(folder))
    named = [{"name": "rag", "template": "r"}, {"name": "default", "template": "named"}]
    settings.write_text(json.dumps({"chat_template": named, "bos_token": {"content": "<s>", "lstrip": False}}))
    assert ChatTemplate(ModelFolder(folder)).render(TALK, True) == "named"
    settings.write_text(json.dumps({"chat_template": "settings {{ bos_token }}", "bos_token": {"content": "<s>"}}))
    assert ChatTemplate(ModelFolder(folder)).render(TALK, True) == "settings <s>"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "json"}))
    assert ChatTemplate(ModelFolder(folder)).render(TALK, True) == "json"
    assert rendered(folder, "jinja") == "jinja"


def test_damaged_settings_are_named(folder: Path) -> None:
    (folder / "chat_template.json").write_text(json.dumps({"template": "x"}))
    with pytest.raises(EngineError, match=r"chat_template.json: .*`chat_template`"):
        ChatTemplate(ModelFolder(folder))
