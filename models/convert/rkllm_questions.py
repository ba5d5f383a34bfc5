"""Calibration data for a language model, from what this assistant is really asked, in English and Chinese.

The toolkit's format (rknn-llm, examples/rkllm_api_demo/export/export_rkllm.py): a JSON list of {"input", "target"},
where the input holds the prompt's own marks. Pictures are told in words, as in the personas' examples: a model's layers
see rows of numbers there, which only its own encoder can make; for those see README.md, "Calibration with pictures".
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from assistant.core import personas
from models.convert.outcome import Refused
from models.pico import dialogue, talk, world

SCENES = 40  # of the demo's world, half in each language
SEED = "calibration"
PICTURE: Mapping[str, str] = {"en": "[picture: {}] ", "zh": "[照片：{}] "}
Template = Callable[[str, str], str]  # system prompt and question -> the model's input


def conversations() -> Iterator[tuple[str, str, str]]:
    """(system prompt, question, answer): the personas' examples, then the demo's questions about its scenes.

    What the demo says of a scene stands for its picture. The same each time.
    """
    for persona in personas.PERSONAS.values():
        for spoken, pairs in persona.examples.items():
            for asked, said in pairs:
                yield persona.system[spoken], asked, said
    chance = random.Random(SEED)
    topics = [topic for topic in talk.WEIGHTS if topic in dialogue.QUESTIONS and not topic.endswith("_changed")]
    for number in range(SCENES):
        language: dialogue.Language = dialogue.LANGUAGES[number % 2]
        scene = world.sample(chance)
        question = talk.fill(topics[number // 2 % len(topics)], scene, chance)
        answer = dialogue.answer(question, [scene], None, language)
        seen = "".join(
            dialogue.answer(dialogue.Question(topic), [scene], None, language)
            for topic in ("describe", "lamp_color", "gauge")
        )
        text = PICTURE[language].format(seen) + dialogue.ask(question, language)
        yield personas.PERSONAS["plain"].system[language], text, answer
    for spoken, presets in personas.PRESET_QUESTIONS.items():
        for asked in presets:
            yield personas.PERSONAS["plain"].system[spoken], asked, personas.say("no_picture", spoken)


def samples(template: Template) -> list[dict[str, str]]:
    return [{"input": template(system, asked), "target": said} for system, asked, said in conversations()]


def write(path: Path, template: Template) -> int:
    """Returns how many samples there are."""
    found = samples(template)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, ensure_ascii=False, indent=1))
    return len(found)


def plain(system: str, question: str) -> str:
    """For a model without a chat template, as in the toolkit's example."""
    return f"{system}\nHuman: {question}\nAssistant: "


def chatml(system: str, question: str) -> str:
    """What Qwen, InternVL and MiniCPM were trained on."""
    return f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


def of_model(folder: Path) -> Template | None:
    """The model's own chat template, rendered in jinja2's sandbox; None where it has none.

    Raises Refused for one that cannot be rendered with a question.
    """
    source, tokens = _template(folder)
    if not source:
        return None
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: "2026-01-01"  # the same data each time

    def render(messages: list[dict[str, Any]]) -> str:
        return environment.from_string(source).render(messages=messages, add_generation_prompt=True, **tokens)

    def template(system: str, question: str) -> str:
        told = {"role": "system", "content": system}
        ways: list[list[dict[str, Any]]] = [
            [told, {"role": "user", "content": question}],
            [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in
             (("system", system), ("user", question))],
            [{"role": "user", "content": f"{system}\n{question}"}],  # templates that refuse a system prompt
        ]  # fmt: skip
        problem = ""
        for messages in ways:
            try:
                rendered = render(messages)
            except Exception as error:  # a template is a program from outside: it can fail in any way
                problem = str(error)
                continue
            if question in rendered and system in rendered and "'type'" not in rendered:
                return rendered
        raise Refused(
            f"the chat template of {folder} cannot be used ({problem or 'it drops the text'}); say --template chatml"
        )

    return template


def check(path: Path) -> int:
    """How many samples a calibration file holds. Raises Refused for what the toolkit could not use."""
    try:
        said = json.loads(path.read_text())
    except OSError as error:
        raise Refused(f"the calibration {path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise Refused(f"the calibration {path} is no JSON ({error})") from error
    if not isinstance(said, list) or not said:
        raise Refused(f'the calibration {path} is no list of {{"input": …, "target": …}}')
    for number, one in enumerate(said):
        texts = isinstance(one, dict) and isinstance(one.get("input"), str) and isinstance(one.get("target"), str)
        stored = isinstance(one, dict) and isinstance(one.get("sample"), str)  # embeddings, for models with pictures
        if not (texts and one["input"].strip()) and not stored:
            raise Refused(f'entry {number} of {path} has no "input" and "target" that are text')
        if stored and not (path.parent / one["sample"]).is_file():
            raise Refused(f"entry {number} of {path} names {one['sample']}, which is not beside it")
    return len(said)


def _template(folder: Path) -> tuple[str, dict[str, str]]:
    """A folder's chat template and the tokens that it may name."""
    said: dict[str, Any] = {}
    for name in ("tokenizer_config.json", "chat_template.json"):
        if (folder / name).is_file():
            try:
                said |= json.loads((folder / name).read_text())
            except ValueError as error:
                raise Refused(f"{folder / name} is damaged ({error}); get it again") from error
    source = said.get("chat_template") or ""
    if (folder / "chat_template.jinja").is_file():
        source = (folder / "chat_template.jinja").read_text()
    if isinstance(source, list):  # several by name
        source = next((one["template"] for one in source if one.get("name") == "default"), "")
    words = {name: said.get(name) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    plain_words = {name: word.get("content") if isinstance(word, dict) else word for name, word in words.items()}
    return source, {name: word for name, word in plain_words.items() if isinstance(word, str)}


def _refuse(message: str) -> None:
    raise ValueError(message)
