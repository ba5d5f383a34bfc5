"""Layers of TOML to typed settings; whatever is wrong is said with the file, the key and the mend."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import config, paths
from assistant.config import Config, ConfigError, Engine, Layer, Settings, from_resolved, load, plain, read


class Camera(Settings, frozen=True, kw_only=True):
    name: str = "main"
    fps: float = 5.0
    size: tuple[int, ...] = (640, 480)
    limits: dict[str, int] = {}  # noqa: RUF012 (msgspec copies it)
    source: Engine = Engine("opencv")


class Log(Settings, frozen=True, kw_only=True):
    level: str = "info"


SCHEMA: Mapping[str, type[Settings]] = {"camera": Camera, "log": Log}


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def camera(found: Config) -> Camera:
    return found.section("camera", Camera)


def refused(*sets: str, profile: str = "") -> str:
    with pytest.raises(ConfigError) as caught:
        load(SCHEMA, profile, sets=sets)
    return str(caught.value)


# --- layers ---


def test_layers_from_weakest_to_strongest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    user = write(tmp_path / "user" / paths.NAME / "assistant.toml", 'camera.size = [3]\nlog.level = "user"')
    board = write(tmp_path / "b.toml", '[camera]\nname = "board"\nfps = 1\nsize = [1]\n[log]\nlevel = "board"')
    profile = write(tmp_path / "p.toml", '[camera]\nfps = 2\nsize = [2]\n[log]\nlevel = "profile"')
    found = load(SCHEMA, profile, board, ["log.level=set"])
    assert (camera(found).name, camera(found).fps, camera(found).size) == ("board", 2.0, (3,))
    assert found.section("log", Log).level == "set"
    origins = {key: origin for key, _, origin in found.items()}
    assert origins == {
        "camera.name": board,
        "camera.fps": profile,
        "camera.size": user,
        "camera.limits": "default",
        "camera.source.engine": "default",
        "log.level": "--set",
    }


def test_tables_merge_and_the_rest_replaces() -> None:
    first = Layer("1", {"camera": {"size": [1, 2, 3], "limits": {"a": 1, "b": 2}}})
    second = Layer("2", {"camera": {"size": [4], "limits": {"b": 3}}})
    found = Config([first, second], SCHEMA)
    assert camera(found).size == (4,)
    assert camera(found).limits == {"a": 1, "b": 3}
    assert [row for row in found.items() if "limits" in row[0]] == [
        ("camera.limits.a", 1, "1"),
        ("camera.limits.b", 3, "2"),
    ]
    assert first.values == {"camera": {"size": [1, 2, 3], "limits": {"a": 1, "b": 2}}}


def test_nothing_set_is_the_defaults() -> None:
    found = Config([], SCHEMA)
    assert plain(camera(found)) == plain(Camera())
    assert {origin for _, _, origin in found.items()} == {"default"}


def test_shipped_profiles_are_found_by_name() -> None:
    assert "demo" in config.profiles()
    assert read(config.find("", "demo")).values


# --- what is wrong ---


def test_an_unknown_key_names_file_key_and_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "p.toml", "[camera]\nfsp = 3")
    assert refused(profile=path) == f"{path}: unknown key 'camera.fsp'; did you mean 'fps'?"
    assert refused("camera.zzz=1") == ("--set: unknown key 'camera.zzz'; valid here: name, fps, size, limits, source")
    assert refused("camrea.fps=1") == "--set: unknown key 'camrea'; did you mean 'camera'?"


@pytest.mark.parametrize(
    ("text", "key", "error"),
    [
        ('camera.fps = "fast"', "camera.fps", "Expected `float`, got `str`"),
        ("camera.size = [1, 'x']", "camera.size[1]", "Expected `int`, got `str`"),
        ("camera.limits.a = 1.5", "camera.limits[...]", "Expected `int`, got `float`"),
        ("camera.name = {a = 1}", "camera.name", "Expected `str`, got `object`"),
        ("camera.source = 'opencv'", "camera.source", "expected a table with engine = "),
        ("camera.source.engine = 5", "camera.source", "expected a table with engine = "),
        ("camera.source.device = 5", "camera.source", "'device' is not a table: an engine's options stand in a table"),
    ],
)
def test_a_wrong_type_names_file_and_key(tmp_path: Path, text: str, key: str, error: str) -> None:
    path = write(tmp_path / "wrong.toml", text)
    said = refused("camera.name=other" if "name" not in key else "camera.fps=1", "log.level=debug", profile=path)
    assert said.startswith(f"{path}: {key}: {error}"), said


def test_the_file_that_is_blamed_is_the_one_that_said_it_last(tmp_path: Path) -> None:
    path = write(tmp_path / "p.toml", "camera.fps = 'x'\ncamera.limits.a = 1\ncamera.limits.b = 2")
    assert refused("camera.fps=y", profile=path).startswith("--set: camera.fps: ")
    assert refused("camera.fps=1", "camera.limits=5", profile=path).startswith(
        "--set: camera.limits: Expected `object`"
    )
    assert refused("camera.fps=1", "camera.limits.c=x", profile=path).startswith(
        f"{path} or --set: camera.limits[...]: "
    )


def test_a_section_must_be_a_table(tmp_path: Path) -> None:
    path = write(tmp_path / "p.toml", "camera = 5")
    assert refused(profile=path) == f"{path}: 'camera' must be a table, [camera]"


def test_what_was_replaced_has_no_origin() -> None:
    layers = [Layer("1", {"camera": {"limits": {"a": 1}}}), Layer("2", {"camera": {"limits": 5}})]
    layers.append(Layer("3", {"camera": {"limits": {"b": 2}}}))
    assert "camera.limits.a" not in Config(layers, SCHEMA).origin


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"[camera\nfps = 1", "not valid TOML: .*line 1"),
        (b"camera.fps = 1\ncamera.fps = 2", "not valid TOML"),
        (b"name = '\xff'", "not valid TOML: .*utf-8"),
    ],
)
def test_bad_toml_names_the_file(tmp_path: Path, content: bytes, error: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    assert re.match(f"{path}: {error}", refused(profile=str(path)))


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_bytes(b"\xef\xbb\xbfcamera.fps = 7\r\n")
    assert camera(load(SCHEMA, str(tmp_path / "p.toml"))).fps == 7.0


def test_a_missing_file_is_named_and_a_missing_profile_with_the_nearest(tmp_path: Path) -> None:
    assert refused(profile=f"{tmp_path}/none.toml") == f"there is no file {tmp_path}/none.toml"
    assert refused(profile=str(tmp_path)) == f"there is no file {tmp_path}"
    assert refused(profile="dmeo") == "there is no profile 'dmeo'; did you mean 'demo'?"
    assert "there is no profile 'zzz'; there are: " in refused(profile="zzz")
    with pytest.raises(ConfigError, match="there is no board 'zzz'"):
        load(SCHEMA, "", "zzz")


# --- --set ---


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("camera.fps=2", 2),
        ("camera.fps=2.5", 2.5),
        ("camera.name=a b", "a b"),
        ("camera.name='a b'", "a b"),
        ("camera.name=", ""),
        ("camera.name=a=b", "a=b"),
        ('camera.name="5"', "5"),
        ("camera.size=[1, 2]", [1, 2]),
        ("camera.on=true", True),
        ("camera.limits={a = 1}", {"a": 1}),
        (" camera . fps = 2 ", 2),
        ("camera.name=现在", "现在"),
        ("camera.name=/dev/video0", "/dev/video0"),
        ("camera.name=rtsp://user:pw@host/x?a=[1]", "rtsp://user:pw@host/x?a=[1]"),
    ],
)
def test_set_takes_toml_or_a_bare_word(text: str, value: object) -> None:
    (inner,) = config._set(text).values["camera"].values()
    assert inner == value


def test_set_reaches_nested_tables() -> None:
    found = load(SCHEMA, sets=["camera.source.engine=files", "camera.source.files.path=x", "camera.limits.a=1"])
    assert camera(found).source.engine == "files"
    assert camera(found).source.options == {"path": "x"}
    assert camera(found).limits == {"a": 1}


@pytest.mark.parametrize("text", ["camera.fps", "fps=2", "=2", "camera.=2", ".fps=2", "camera..fps=2", ""])
def test_set_that_is_none_is_refused(text: str) -> None:
    assert refused(text) == f"--set {text}: expected section.key=value"


# --- places ---


def test_places_stand_for_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSISTANT_MODELS", "/my/models")
    monkeypatch.chdir(tmp_path)
    text = "camera.name = '{here}/a'\n[camera.source.files]\npaths = ['{here}/b', '{models}', '{config}']\n"
    profile = write(
        tmp_path / "deep" / "p.toml", text + "model = '{shipped-models}/pico'\nprompt = 'say {this} {'\nn = 1"
    )
    found = camera(load(SCHEMA, profile, sets=["camera.source.engine=files"]))
    here = (tmp_path / "deep").resolve()
    assert found.name == f"{here}/a"
    assert found.source.options == {
        "paths": [f"{here}/b", "/my/models", str(paths.shipped("config"))],
        "model": f"{paths.shipped('models')}/pico",
        "prompt": "say {this} {",
        "n": 1,
    }
    assert camera(load(SCHEMA, sets=["camera.name={here}/c"])).name == f"{tmp_path.resolve()}/c"


# --- engines ---


def test_options_of_other_engines_may_stand_beside_the_chosen_one(tmp_path: Path) -> None:
    text = "[camera.source]\nengine = 'a'\na.x = 1\nb.y = 2"
    profile = write(tmp_path / "p.toml", text)
    assert camera(load(SCHEMA, profile)).source.options == {"x": 1}
    assert camera(load(SCHEMA, profile, sets=["camera.source.engine=b"])).source.options == {"y": 2}
    assert camera(load(SCHEMA, profile, sets=["camera.source.engine=c"])).source.options == {}
    assert Engine().engine == "auto"


# --- tables inside a section, and beside it ---


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dark: float = 1.0


class Eye(Settings, frozen=True, kw_only=True):
    fps: float = 5.0
    limits: Limits = Limits()


class Eyes(Eye, frozen=True, kw_only=True):
    beside = ("others",)

    others: dict[str, Eye] = {}  # noqa: RUF012 (msgspec copies it)


EYES: Mapping[str, type[Settings]] = {"eyes": Eyes, "log": Log}


def test_tables_beside_a_section_are_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "p.toml", "[others.door]\nfps = 2\n[others.door.limits]\ndark = 3\n[others.yard]")
    found = load(EYES, path, sets=["others.door.fps=4", "eyes.limits.dark=7"])
    eyes = found.section("eyes", Eyes)
    assert (eyes.fps, eyes.limits.dark, list(eyes.others)) == (5.0, 7.0, ["door", "yard"])
    assert (eyes.others["door"].fps, eyes.others["door"].limits.dark, eyes.others["yard"].fps) == (4.0, 3.0, 5.0)
    origins = {key: origin for key, _, origin in found.items()}
    assert origins["others.door.fps"] == "--set"
    assert origins["others.door.limits.dark"] == path
    assert origins["others.yard.fps"] == "default"
    again = from_resolved(msgspec.json.decode(msgspec.json.encode(found.resolved())), "eyes", Eyes)
    assert plain(again) == plain(eyes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[others.door]\nfsp = 1", "unknown key 'others.door.fsp'; did you mean 'fps'?"),
        ("[others.door.limits]\ndrak = 1", "unknown key 'others.door.limits.drak'; did you mean 'dark'?"),
        ("[eyes.limits]\ndrak = 1", "unknown key 'eyes.limits.drak'; did you mean 'dark'?"),
        ("[other.door]\nfps = 1", "unknown key 'other'; did you mean 'others'?"),
        ("[others.door]\nfps = 'fast'", "others.door.fps: Expected `float`, got `str`"),
        ("[others.yard]\n[others.door.limits]\ndark = []", "others.door.limits.dark: Expected `float`, got `array`"),
        ("[others]\ndoor = 5", "'others.door' must be a table, [others.door]"),
        ("others = 5", "others: Expected `object`, got `int`"),
        ("eyes.limits = 5", "'eyes.limits' must be a table, [eyes.limits]"),
        ("eyes = 5\n[others.door]", "'eyes' must be a table, [eyes]"),
    ],
)
def test_what_is_wrong_in_one_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = write(tmp_path / "p.toml", text)
    with pytest.raises(ConfigError) as caught:
        load(EYES, path, sets=["log.level=debug"])
    assert str(caught.value).startswith(f"{path}: {says}")


# --- the resolved file ---


def test_resolved_settings_come_back_as_they_were() -> None:
    sets = ["camera.fps=2", "camera.size=[1, 2]", "camera.limits.a=1", "camera.source.files.path=x", "log.level=debug"]
    found = load(SCHEMA, sets=sets)
    resolved = msgspec.json.decode(msgspec.json.encode(found.resolved()))
    again = from_resolved(resolved, "camera", Camera)
    assert plain(again) == plain(camera(found))
    assert again.source.all_options == {"files": {"path": "x"}}
    assert plain(from_resolved({}, "camera", Camera)) == plain(Camera())


# --- merging, for any layers ---

# A key is a table in every layer or in none: what replaces a table by a number and back forgets the table.
numbers: st.SearchStrategy[Any] = st.integers() | st.lists(st.integers(), max_size=2)
innermost = st.fixed_dictionaries({}, optional={"a": numbers, "b": numbers})
inner = st.fixed_dictionaries({}, optional={"a": numbers, "b": innermost, "c": innermost})
tables: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({}, optional={"a": numbers, "b": inner, "c": inner})


class Anything(Settings, frozen=True, kw_only=True):
    a: Any = None
    b: Any = None
    c: Any = None


def merged(*layers: dict[str, Any]) -> Config:
    return Config([Layer(str(i), {"s": layer}) for i, layer in enumerate(layers)], {"s": Anything})


def leaves(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return dict(config._leaves(values, prefix))


@given(tables, tables, tables)
def test_merging_is_associative(a: dict[str, Any], b: dict[str, Any], c: dict[str, Any]) -> None:
    whole = merged(a, b, c).values["s"]
    assert merged(merged(a, b).values["s"], c).values["s"] == whole
    assert merged(a, merged(b, c).values["s"]).values["s"] == whole
    assert merged(a, a).values["s"] == merged(a).values["s"]


@given(tables, tables)
def test_the_later_one_wins_and_every_value_has_its_origin(a: dict[str, Any], b: dict[str, Any]) -> None:
    found = merged(a, b)
    whole = leaves(found.values["s"], "s.")
    for key, value in leaves(b, "s.").items():
        if value != {}:
            assert whole[key] == value
            assert found.origin[key] == "1"
    for key, value in whole.items():
        assert value == (leaves(a, "s.") if found.origin[key] == "0" else leaves(b, "s.")).get(key, {})
