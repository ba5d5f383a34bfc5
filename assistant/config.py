"""TOML to typed settings; an unknown key is an error that names file, key and nearest valid key.

Layers, weakest first: code defaults, the board's file, the profile, the machine's and the user's own file, ``--set``,
and what a simulated board puts in place of all that.
Tables merge, everything else replaces. In a string, ``{here}`` is the folder of the file that it stands in, and
``{shipped-models}``, ``{models}``, ``{config}`` are the folders of assistant.paths.
"""

import difflib
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import msgspec

from assistant import paths, tables

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class ConfigError(Exception):
    """The settings cannot be used; the text names the file, the key and the mend."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section's settings, and of the tables inside one: a field that is a Struct, or a dict of them."""

    beside: ClassVar[Collection[str]] = ()  # fields that are written as tables beside the section: [cameras.NAME]


class Engine:
    """Which engine a role uses, and the options of each: ``engine = "onnx"`` and tables named for engines.

    Options of engines that are not chosen may stand beside the chosen one's, so that a board file or ``--set`` can
    switch the engine without having to remove what the profile said about another.
    """

    def __init__(self, engine: str = "auto", options: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.engine = engine
        self.all_options = dict(options or {})

    @property
    def options(self) -> Mapping[str, Any]:
        """Of the engine that is chosen; ``auto`` is given the tables of all of them."""
        return self.all_options if self.engine == "auto" else self.all_options.get(self.engine, {})

    @classmethod
    def read(cls, value: Any) -> "Engine":
        if not isinstance(value, dict) or not isinstance(value.get("engine", "auto"), str):
            raise ValueError('expected a table with engine = "NAME" and a table of options for each engine')
        tables = {key: table for key, table in value.items() if key != "engine"}
        for key, table in tables.items():
            if not isinstance(table, dict):
                raise ValueError(f"{key!r} is not a table: an engine's options stand in a table named for the engine")
        return cls(value.get("engine", "auto"), tables)

    def plain(self) -> dict[str, Any]:
        return {"engine": self.engine, **self.all_options}


class Layer(msgspec.Struct, frozen=True):
    name: str  # of the file, or of the option
    values: dict[str, Any]


S = TypeVar("S", bound=Settings)


class Config:
    """The merged settings, with the origin of every value."""

    def __init__(self, layers: Sequence[Layer], schema: Mapping[str, type[Settings]]) -> None:
        self._schema = schema
        self._homes = {field: name for name, kind in schema.items() for field in kind.beside}
        self.values: dict[str, Any] = {}
        self.origin: dict[str, str] = {}  # dotted key -> layer
        for layer in layers:
            self._merge(layer.values, self.values, layer.name, "")
        self._bring_home()
        for section in self.values:
            if section not in schema:
                raise ConfigError(self._unknown(section, section, {**schema, **self._homes}))
        self._typed = {name: self._type(name, kind) for name, kind in schema.items()}

    def section(self, name: str, kind: type[S]) -> S:
        settings = self._typed[name]
        assert isinstance(settings, kind)
        return settings

    def items(self) -> list[tuple[str, Any, str]]:
        """Every setting as (dotted key, value, where it comes from)."""
        rows: list[tuple[str, Any, str]] = []
        for section, settings in self._typed.items():
            for key, value in _leaves(plain(settings), section + "."):
                rows.append((self.written(key), value, self.origin.get(self.written(key), "default")))
        return rows

    def resolved(self) -> dict[str, Any]:
        return {section: plain(settings) for section, settings in self._typed.items()}

    def _merge(self, source: Mapping[str, Any], target: dict[str, Any], layer: str, prefix: str) -> None:
        for key, value in source.items():
            dotted = prefix + key
            if isinstance(value, dict):
                if not isinstance(target.get(key), dict):
                    target[key] = {}
                self._merge(value, target[key], layer, dotted + ".")
            else:
                target[key] = value
                for gone in [known for known in self.origin if known.startswith(dotted + ".")]:
                    del self.origin[gone]  # a table was replaced by something else
            self.origin[dotted] = layer

    def written(self, dotted: str) -> str:
        """A key as files spell it: what is written beside its section stands there without it."""
        section, _, inner = dotted.partition(".")
        return inner if self._homes.get(inner.partition(".")[0]) == section else dotted

    def _bring_home(self) -> None:
        for field, section in self._homes.items():
            if field not in self.values:
                continue
            home = self.values.setdefault(section, {})
            if not isinstance(home, dict):
                raise ConfigError(f"{self.origin[section]}: {section!r} must be a table, [{section}]")
            home[field] = self.values.pop(field)

    def _type(self, section: str, kind: type[Settings]) -> Settings:
        settings = self._checked(section, self.values.get(section, {}), kind)
        assert isinstance(settings, kind)
        return settings

    def _checked(self, dotted: str, values: Any, kind: type[msgspec.Struct]) -> msgspec.Struct:
        """Tables inside come first, each by itself: so an error names its place, and the nearest key there."""
        if not isinstance(values, dict):
            raise ConfigError(
                f"{self._from(dotted)}: {self.written(dotted)!r} must be a table, [{self.written(dotted)}]"
            )
        for key in values:
            if key not in kind.__struct_fields__:
                raise ConfigError(self._unknown(f"{dotted}.{key}", key, kind.__struct_fields__))
        for path, inner in tables.inside(kind, values):
            value: Any = values
            for key in path:
                value = value[key]
            self._checked(".".join((dotted, *path)), value, inner)
        try:
            return msgspec.convert(values, kind, dec_hook=_decode)
        except msgspec.ValidationError as error:
            key, origin = self._blame(dotted, str(error))
            raise ConfigError(f"{origin}: {key}: {error}") from error

    def _unknown(self, dotted: str, key: str, valid: Any) -> str:
        close = difflib.get_close_matches(key, list(valid), n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"valid here: {', '.join(valid) or 'nothing'}"
        return f"{self._from(dotted)}: unknown key {self.written(dotted)!r}; {hint}"

    def _from(self, dotted: str) -> str:
        return self.origin.get(self.written(dotted), "?")

    def _blame(self, table: str, error: str) -> tuple[str, str]:
        """The key and file of a value that msgspec refused; it ends its message with ` - at `$.key``."""
        inner = error.rpartition("`$")[2].rstrip("`").strip(".") if "`$" in error else ""
        dotted = self.written(f"{table}.{inner}" if inner else table)
        known = dotted.partition("[")[0]  # an element of a list comes from where the list does
        below = dict.fromkeys(layer for key, layer in self.origin.items() if key.startswith(known + "."))
        home = self.origin.get(self.written(table), "default")
        return dotted, " or ".join(below) or self.origin.get(known) or home


def load(
    schema: Mapping[str, type[Settings]],
    profile: str = "",
    board: str = "",
    sets: Sequence[str] = (),
    above: Sequence[Layer] = (),
) -> Config:
    """Read and check all layers; ``above`` stands over all others. Raises ConfigError."""
    layers = []
    if board:
        layers.append(read(find("boards", board)))
    if profile:
        layers.append(read(find("", profile)))
    layers += [read(path) for path in paths.user_settings() if path.is_file()]
    layers += [_set(text) for text in sets]
    return Config([*layers, *above], schema)


def profiles() -> list[str]:
    return sorted(path.stem for path in paths.shipped("config").glob("*.toml"))


def find(folder: str, name: str) -> Path:
    """A profile or board by name or by path. Raises ConfigError listing the names that there are."""
    if "/" in name or name.endswith(".toml"):
        if not Path(name).is_file():
            raise ConfigError(f"there is no file {name}")
        return Path(name)
    home = paths.shipped("config") / folder
    path = home / f"{name}.toml"
    if not path.is_file():
        known = sorted(p.stem for p in home.glob("*.toml"))
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known) or 'none'}"
        raise ConfigError(f"there is no {folder.rstrip('s') or 'profile'} {name!r}; {hint}")
    return path


def read(path: Path) -> Layer:
    """One TOML file. Raises ConfigError for one that cannot be read."""
    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error
    return Layer(str(path), cast(dict[str, Any], _placed(values, path.resolve().parent)))


def from_resolved(values: Mapping[str, Any], section: str, kind: type[S]) -> S:
    """A service's settings out of the resolved file that the supervisor wrote."""
    return Config([Layer("the resolved settings", {section: values.get(section, {})})], {section: kind}).section(
        section, kind
    )


def plain(settings: Settings) -> dict[str, Any]:
    return cast(dict[str, Any], msgspec.to_builtins(settings, enc_hook=_encode))


def _set(text: str) -> Layer:
    dotted, equals, value = text.partition("=")
    keys = [key.strip() for key in dotted.split(".")]
    if not equals or len(keys) < 2 or not all(keys):
        raise ConfigError(f"--set {text}: expected section.key=value")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a bare word is a string
    for key in reversed(keys):
        parsed = {key: parsed}
    return Layer("--set", cast(dict[str, Any], _placed(parsed, Path.cwd())))


def _placed(value: Any, here: Path) -> Any:
    if isinstance(value, dict):
        return {key: _placed(inner, here) for key, inner in value.items()}
    if isinstance(value, list):
        return [_placed(inner, here) for inner in value]
    if not isinstance(value, str) or "{" not in value:
        return value
    for name, path in (
        ("here", here),
        ("config", paths.shipped("config")),
        ("shipped-models", paths.shipped("models")),
        ("models", paths.user_models()),
    ):
        value = value.replace("{" + name + "}", str(path))
    return value


def _decode(kind: type[Any], value: Any) -> Any:
    if kind is Engine:
        return Engine.read(value)
    raise NotImplementedError(kind)  # msgspec's way of saying that a type is not known


def _encode(value: Any) -> Any:
    if isinstance(value, Engine):
        return value.plain()
    raise NotImplementedError(type(value))


def _leaves(values: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            rows += _leaves(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, value))
    return rows
