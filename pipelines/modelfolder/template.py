"""Chat templates as model folders carry them, rendered as the reference does, in jinja2's sandbox (BSD-3-Clause)."""

import datetime
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.engine import EngineError
from pipelines.modelfolder import ModelFolder, config

PROBE = "a question nobody asks"


class ChatTemplate:
    """Renders messages of the form {"role": …, "content": [{"type": "text", "text": …} | {"type": "image"}, …]}."""

    def __init__(self, folder: ModelFolder) -> None:
        """Raises EngineError where the folder has no template or one that cannot be compiled."""
        from jinja2.exceptions import TemplateError
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        tokens = folder.json("tokenizer_config.json", config.TokenizerConfig, optional=config.TokenizerConfig())
        self._where, source = _source(folder, tokens)
        self._folder = folder
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _refuse
        environment.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(form)
        try:
            self._template = environment.from_string(source)
        except TemplateError as error:
            raise folder.error(self._where, f"the chat template is damaged ({error}); download it again") from error
        named = {
            "bos_token": tokens.bos_token,
            "eos_token": tokens.eos_token,
            "unk_token": tokens.unk_token,
            "pad_token": tokens.pad_token,
        }
        self._tokens = {name: config.word(token) for name, token in named.items() if token is not None}
        self._takes_parts = self._probe()

    def render(self, messages: Sequence[Mapping[str, Any]], generate: bool) -> str:
        """The prompt's text; with ``generate`` it ends where the reply begins. Raises EngineError where it refuses."""
        if not self._takes_parts:
            messages = [self._flat(message) for message in messages]
        try:
            return self._render(messages, generate)
        except Exception as error:  # a template is a program from outside: it can fail in any way
            raise self._folder.error(self._where, f"the chat template refuses this conversation: {error}") from error

    def _render(self, messages: Sequence[Mapping[str, Any]], generate: bool) -> str:
        return self._template.render(messages=messages, add_generation_prompt=generate, tools=None, **self._tokens)

    def _probe(self) -> bool:
        """Whether the template wants content as a list of parts. Those for text models print the list as it stands."""
        try:
            parts = [{"type": "text", "text": PROBE}]
            rendered = self._render([{"role": "user", "content": parts}], True)
        except Exception:  # as above; what it makes of plain text is then seen when it is used
            return False
        return PROBE in rendered and "'type'" not in rendered and '"type"' not in rendered

    def _flat(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        image = self._folder.config.image_token
        parts = [part["text"] if part["type"] == "text" else image for part in message["content"]]
        return {**message, "content": "".join(parts)}


def _source(folder: ModelFolder, tokens: config.TokenizerConfig) -> tuple[str, str]:
    """The file that holds the template, and its source: a file of its own, a JSON file, or the tokenizer's settings."""
    if (folder.path / "chat_template.jinja").is_file():
        try:
            return "chat_template.jinja", folder.read("chat_template.jinja").decode()
        except UnicodeDecodeError as error:
            raise folder.error("chat_template.jinja", f"is damaged ({error}); download it again") from error
    if (folder.path / "chat_template.json").is_file():
        return "chat_template.json", folder.json("chat_template.json", config.ChatTemplate).chat_template
    given = tokens.chat_template
    if isinstance(given, list):  # several by name
        given = {entry.get("name"): entry.get("template") for entry in given}.get("default")
    if given is None:
        raise EngineError(
            f"the model folder {folder.path} has no chat template (chat_template.jinja, chat_template.json or "
            "tokenizer_config.json: chat_template); download the model again"
        )
    return "tokenizer_config.json", given


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **others: Any) -> str:
    """Like the reference's: json.dumps with its options, without the HTML escapes of jinja2's own filter."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **others)


def _refuse(message: str) -> None:
    raise ValueError(message)
