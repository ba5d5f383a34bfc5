"""The settings' engines and the files that they name."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from assistant import paths
from assistant.checkup.tree import Tree
from assistant.config import Engine
from assistant.core.doctor.facts import Choice, Known, Model, Part
from assistant.core.manifest import Manifest
from pipelines import engine

# Options that concern us. No other ever leaves the settings: keys and passwords lie among them.
FILES = ("model", "voice", "tokenizer")
PLAIN = ("library", "runtime_version", "soc")
# The last part of a setting's key that names an engine -> its role, as the services' ``roles`` have it.
ROLES = {
    "asr": "asr", "button": "button", "encoder": "vision", "endofturn": "endofturn", "llm": "llm", "source": "camera",
    "tts": "tts", "vad": "vad", "wakeword": "wakeword",
}  # fmt: skip
# The same, of engines that are loaded only where a setting beside them has this value: what is not used is not judged.
ONLY = {"wakeword": ("mode", "wakeword")}
HEAD = 64  # bytes of each file that are looked at
MOST_FILES = 500  # of a folder: a model has few, and somebody's home directory is none


class Place(NamedTuple):
    """Where settings name an engine."""

    key: str
    role: str
    engine: Engine


def places(resolved: Mapping[str, Any], prefix: str = "") -> Iterator[Place]:
    """In settings as ``Config.resolved`` gives them, and as the services find them in their file."""
    for key, value in resolved.items():
        if not isinstance(value, dict):
            continue
        if key in ONLY and resolved.get(ONLY[key][0], ONLY[key][1]) != ONLY[key][1]:
            continue
        if key in ROLES and isinstance(value.get("engine"), str):
            # Further cameras stand beside their section: [cameras.NAME].
            yield Place(f"{prefix}{key}".replace("camera.cameras.", "cameras.", 1), ROLES[key], Engine.read(value))
        else:
            yield from places(value, f"{prefix}{key}.")


def choices(resolved: Mapping[str, Any]) -> tuple[Choice, ...]:
    return tuple(_choice(*place) for place in places(resolved))


def _choice(key: str, role: str, chosen: Engine) -> Choice:
    order = engine.AUTO.get(role, ()) if chosen.engine == "auto" else (chosen.engine,)
    tables = {}
    for name in dict.fromkeys((*order, *chosen.all_options)):
        try:
            options = engine.options(role, name, chosen.all_options.get(name, {}))
        except engine.EngineError:
            continue  # it wants an option that nobody set: not configured
        tables[name] = {field: str(getattr(options, field, "") or "") for field in (*FILES, *PLAIN)}
    wanted = {name: {k: v for k, v in table.items() if v} for name, table in tables.items() if name in order}
    return Choice(key=key, role=role, engine=chosen.engine, order=order, tables=wanted)


def look(tree: Tree, chosen: Iterable[Choice], manifest: Manifest | None) -> tuple[Model, ...]:
    return tuple(
        _model(tree, f"{choice.key}.{name}.{option}", table[option], manifest)
        for choice in chosen
        for name, table in choice.tables.items()
        for option in FILES
        if option in table and name != "openai"  # whose model is a name at a server
    )


def _model(tree: Tree, key: str, path: str, manifest: Manifest | None) -> Model:
    path = os.path.normpath(os.path.join(os.getcwd() if tree.live else "/", path))
    known = _known(path, manifest)
    if (size := tree.size(path)) is not None:
        head = tree.data(path, HEAD) or b""
        return Model(
            key=key, path=path, kind="file", parts=(Part(path=_last(path), size=size, head=head),), known=known
        )
    if tree.is_folder(path):
        return Model(key=key, path=path, kind="folder", parts=tuple(_parts(tree, path)), known=known)
    return Model(key=key, path=path, known=known)


def _parts(tree: Tree, folder: str) -> Iterable[Part]:
    """Files of a model's folder, two levels deep as models are published."""
    for path in (*tree.names(f"{folder}/*"), *tree.names(f"{folder}/*/*"))[:MOST_FILES]:
        if (size := tree.size(path)) is not None:
            yield Part(path=path[len(folder) + 1 :], size=size, head=tree.data(path, HEAD) or b"")


def _known(path: str, manifest: Manifest | None) -> Known | None:
    """The manifest's entry of a path: by its folder among the user's models, or by its file's name alone."""
    if manifest is None:
        return None
    inside = (
        path.removeprefix(f"{paths.user_models()}/").split("/") if path.startswith(f"{paths.user_models()}/") else []
    )
    name = inside[0] if inside and inside[0] in manifest.models else ""
    names = [name] if name else [n for n, entry in manifest.models.items() if _last(path) in _big(entry.files)]
    if len(names) != 1:
        return None
    entry = manifest.models[names[0]]
    files: Mapping[str, int] = {file.path: file.bytes for file in entry.files}
    mend = f"assistant models pull {names[0]}" if entry.source.hf or entry.source.modelscope else entry.source.page
    return Known(name=names[0], mend=mend, runtime=entry.runtime, ram_mb=entry.ram_mb, files=files)


def _big(files: Iterable[Any]) -> set[str]:
    """File names that belong to one model alone: weights for an NPU are named for it."""
    return {_last(file.path) for file in files if file.path.endswith((".rkllm", ".rknn"))}


def _last(path: str) -> str:
    return path.rpartition("/")[2]
