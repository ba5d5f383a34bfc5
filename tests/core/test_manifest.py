"""The manifest: every entry that ships, and everything that can be wrong with one."""

import contextlib
import copy
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import config, modelstore, paths
from assistant.core import manifest
from assistant.core.manifest import Entry, ManifestError

GOOD: dict[str, Any] = {
    "models": {
        "a-vlm": {
            "role": "vlm",
            "engines": ["onnx"],
            "about": "",
            "languages": ["en"],
            "licence": "MIT",
            "soc": [],
            "runtime": "",
            "ram_mb": 0,
            "verified": True,
            "unverified": [],
            "source": {"page": "https://example.org", "hf": "some/one", "revision": "main"},
            "files": [{"path": "onnx/a.onnx", "bytes": 3, "sha256": ""}],
            "vision": {
                "image_size": [4],
                "tokens": [1],
                "width": 2,
                "image_start": "",
                "image_end": "",
                "image_content": "<image>",
                "padding": "split",
                "normalise": "in the model",
                "mean": [],
                "std": [],
            },
            "text": {"context": 16, "template": "built in"},
        }
    },
    "sets": {"all": {"about": "", "models": ["a-vlm"]}},
    "families": {"a-family": {}},
}
LATER = ("speed", "family", "context")  # fields that an entry may lack
SHIPPED = modelstore.load()


def changed(path: str, value: Any) -> dict[str, Any]:
    """GOOD with one value replaced, or removed where it is None."""
    made = copy.deepcopy(GOOD)
    *way, last = path.split("/")
    at: Any = made
    for key in way:
        at = at[int(key) if isinstance(at, list) else key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return made


def test_a_good_one_is_read() -> None:
    found = manifest.read(GOOD, "m")
    assert (found.models["a-vlm"].size, found.families) == (3, ("a-family",))


def test_a_family_stands_for_vision_and_text() -> None:
    made = changed("models/a-vlm/vision", None)
    del made["models"]["a-vlm"]["text"]
    made["models"]["a-vlm"]["family"] = "a-family"
    assert manifest.read(made, "m").models["a-vlm"].family == "a-family"


@pytest.mark.parametrize("field", [name for name in Entry.__struct_fields__ if name not in LATER])
def test_a_missing_field_is_named_with_its_entry(field: str) -> None:
    with pytest.raises(ManifestError, match=rf"^m: models\.a-vlm: .*{field}"):
        manifest.read(changed(f"models/a-vlm/{field}", None), "m")


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("models", None, "the table [models] is missing"),
        ("sets", None, "the table [sets] is missing"),
        ("more", {}, "unknown table [more]"),
        ("models/a-vlm/licenc", "MIT", "models.a-vlm: the table contains unknown field `licenc`"),
        ("models/a-vlm/files/0/bytes", None, "models.a-vlm: the table missing required field `bytes`"),
        ("models/a-vlm/files/0/sha256", "abc", "at `files[0].sha256`"),
        ("models/a-vlm/files/0/bytes", -1, "at `files[0].bytes`"),
        ("models/a-vlm/files/0/path", "../x", "'../x' leaves the model's folder"),
        ("models/a-vlm/files/0/path", "/etc/x", "leaves the model's folder"),
        ("models/a-vlm/files/0/path", "x.part", "leaves the model's folder"),
        ("models/a-vlm/files", [], "at `files`"),
        ("models/a-vlm/files", [{"path": p, "bytes": 0, "sha256": ""} for p in ("a", "A")], "is there twice"),
        ("models/a-vlm/role", "ear", "at `role`"),
        ("models/a-vlm/vision/tokens", [1, 2], "as many tokens as image_size"),
        ("models/a-vlm/vision/width", "wide", "at `vision.width`"),
        ("models/a-vlm/source/revision", None, "revision is missing"),
        ("models/a-vlm/vision", None, "a vlm needs a family, or the table vision"),
        ("models/a-vlm/text", None, "a vlm needs a family, or the table text"),
        ("models/a-vlm/family", "b-family", "family: 'b-family' is no table of [families]"),
        ("models/a-vlm/family", "a-family", "family: 'a-family' has what vision and text say"),
        ("families", [], "families must be a table"),
        ("models/..", GOOD["models"]["a-vlm"], "the name cannot be a folder's"),
        ("sets/all/models", ["b"], "sets.all: names 'b', which is no model"),
        ("sets/a-vlm", {"about": "", "models": ["a-vlm"]}, "is also the name of a model"),
    ],
)
def test_what_is_wrong_is_said(path: str, value: Any, says: str) -> None:
    with pytest.raises(ManifestError, match=re.escape(says)):
        manifest.read(changed(path, value), "m")


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_table_is_read_or_refused(value: Any) -> None:
    for values in ({"models": {"x": value}, "sets": {}}, {"models": {}, "sets": {"x": value}}, {"models": value}):
        with pytest.raises(ManifestError):
            manifest.read(values, "m")


PLACES = [
    *(f"models/a-vlm/{field}" for field in GOOD["models"]["a-vlm"]),
    *(f"models/a-vlm/vision/{field}" for field in GOOD["models"]["a-vlm"]["vision"]),
    *(f"models/a-vlm/files/0/{field}" for field in ("path", "bytes", "sha256", "remote")),
    *("sets/all/models", "sets/all", "models/a-vlm"),
]


@given(
    st.sampled_from(PLACES),
    st.integers()
    | st.text()
    | st.floats()
    | st.lists(st.text() | st.integers())
    | st.dictionaries(st.text(), st.text()),
)
def test_any_value_in_any_place_is_read_or_refused(place: str, value: Any) -> None:
    with contextlib.suppress(ManifestError):
        found = manifest.read(changed(place, value), "m")
        assert all(manifest.safe_path(file.path) for file in found.models["a-vlm"].files)


@given(st.text() | st.from_regex(r"[a.\\/~%:\x00-]{0,12}", fullmatch=True))
def test_a_safe_path_stays_below_its_folder(path: str) -> None:
    if manifest.safe_path(path):
        whole = (Path("/models/x") / path).resolve()
        assert whole.is_relative_to("/models/x")
        assert whole != Path("/models/x")
        assert "\\" not in path
        assert ":" not in path


@pytest.mark.parametrize("name", SHIPPED.models)
def test_what_ships_invents_nothing(name: str) -> None:
    """What is not known is marked; what a set pulls can be pulled."""
    entry = SHIPPED.models[name]
    doubts = " ".join(entry.unverified)
    unknown = [] if entry.ram_mb else ["ram_mb"]
    if entry.vision:
        unknown += [f"vision.{key}" for key in ("image_size", "tokens") if 0 in getattr(entry.vision, key)]
        unknown += [] if entry.vision.width else ["vision.width"]
        unknown += [] if entry.vision.normalise != "unknown" else ["vision.normalise"]
    if entry.text and not entry.text.context:
        unknown.append("text.context")
    if entry.family and not entry.context:
        unknown.append("context")
    unknown += [f"files.{file.path}" for file in entry.files if not file.size and "files" not in entry.unverified]
    unknown += (
        ["source.revision"] if entry.source.hf and not re.fullmatch("[0-9a-f]{40}", entry.source.revision) else []
    )
    assert [key for key in unknown if key not in doubts] == []
    assert entry.verified or "files" in doubts
    assert all(speed.source for speed in entry.speed)
    assert msgspec.to_builtins(entry)["licence"]


def test_sets_are_whole_and_verified() -> None:
    assert set(SHIPPED.sets) == {"zh", "en", "cpu-en", "cpu-zh"}
    for chosen in SHIPPED.sets.values():
        entries = [SHIPPED.models[name] for name in chosen.models]
        assert [entry.role for entry in entries] == ["vlm", "asr", "tts", "endofturn"]
        assert all(entry.verified and entry.source.hf for entry in entries)


def test_the_profile_finds_what_the_sets_bring() -> None:
    """Each path of camera-qa.toml that lies among the models is a model of a CPU set, or a file of one."""
    text = (paths.shipped("config") / "camera-qa.toml").read_text("utf-8")
    found = re.findall(r'"\{models\}/([^"/]+)/?([^"]*)"', text)
    pulled = {model for name in ("cpu-en", "cpu-zh") for model in SHIPPED.sets[name].models}
    assert {name for name, _ in found} == pulled
    for name, file in found:
        assert not file or file in [each.path for each in SHIPPED.models[name].files]
    config.read(paths.shipped("config") / "camera-qa.toml")
