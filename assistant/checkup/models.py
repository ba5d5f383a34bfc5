"""The settings' engines and the files that they name."""

from collections.abc import Iterable, Mapping
from typing import Any

from assistant import paths
from assistant.checkup.tree import Tree
from assistant.config import Engine
from assistant.core.doctor.facts import Choice, Known, Model, Part
from assistant.core.manifest import Manifest
from pipelines import engine

# Options that concern us. No other ever leaves the settings: keys and passwords lie among them.
FILES = ("model", "voice", "tokenizer")
PLAIN = ("library", "runtime_version", "soc")
HEAD = 64  # bytes of each file that are looked at
MOST_FILES = 500  # of a folder: a model has few, and somebody's home directory is none


def choices(named: Iterable[tuple[str, str, Engine]]) -> tuple[Choice, ...]:
    """From (dotted key, role, engine) of the settings."""
    return tuple(_choice(key, role, chosen) for key, role, chosen in named)


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
    return Known(name=names[0], runtime=entry.runtime, ram_mb=entry.ram_mb, files=files)


def _big(files: Iterable[Any]) -> set[str]:
    """File names that belong to one model alone: weights for an NPU are named for it."""
    return {_last(file.path) for file in files if file.path.endswith((".rkllm", ".rknn"))}


def _last(path: str) -> str:
    return path.rpartition("/")[2]
