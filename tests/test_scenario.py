"""Scenario files: what is read, what is refused and how that is said."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import scenario
from assistant.scenario import ScenarioError, Step


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(b"picture")
    (tmp_path / "q.wav").write_bytes(b"sound")
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "s.toml"
    path.write_text(text, "utf-8")
    return path


def test_everything_is_read(folder: Path) -> None:
    path = written(
        folder,
        """
        profile = "demo"
        language = "en"
        settings = {"dialogue.history" = "none", "dialogue.picture" = "always"}
        [[steps]]
        camera = "a.png"
        hear = "q.wav"
        expect_heard = "cube"
        expect = "blue|green"
        [[steps]]
        at_ms = 250
        ask = "现在呢"
        interrupt_after_ms = 0
        """,
    )
    read = scenario.load(path)
    assert (read.profile, read.language) == ("demo", "en")
    assert read.sets() == ['dialogue.language="en"', 'dialogue.history="none"', 'dialogue.picture="always"']
    assert read.steps[0] == Step(
        camera=folder / "a.png", hear=folder / "q.wav", expect_heard="cube", expect="blue|green"
    )
    assert read.steps[1] == Step(at_ms=250, ask="现在呢", interrupt_after_ms=0)


def test_settings_may_be_tables_and_know_where_they_stand(folder: Path) -> None:
    path = written(
        folder,
        '[settings.camera.source.opencv]\nsource = "{here}/a.png"\n'
        '[settings.supervisor]\nrestarts = 2\n[[steps]]\nask = "x"',
    )
    assert scenario.load(path).sets() == [f'camera.source.opencv.source="{folder}/a.png"', "supervisor.restarts=2"]


def test_a_profile_beside_the_scenario_is_found_from_anywhere(folder: Path) -> None:
    path = written(folder, 'profile = "mine.toml"\n[[steps]]\nask = "x"')
    assert scenario.load(path).profile == str(folder / "mine.toml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "there are no steps"),
        ("steps = 3", "there are no steps"),
        ('profil = "demo"\n[[steps]]\nask = "x"', "unknown key 'profil'; did you mean 'profile'?"),
        ('[[steps]]\nask = "x"\n[[steps]]\nexpekt = "x"', "step 2: unknown key 'expekt'; did you mean 'expect'?"),
        ('[[steps]]\nzzz = "x"', "step 1: unknown key 'zzz'; valid here: at_ms, camera"),
        ('[[steps]]\nhear = "none.wav"', "step 1: hear: there is no file"),
        ('[[steps]]\ncamera = "none.png"', "step 1: camera: there is no file"),
        (f'[[steps]]\ncamera = "{"x" * 5000}"', "step 1: camera: there is no file"),
        ('[[steps]]\ncamera = ""', "step 1: expected the name of a file"),
        ('[[steps]]\nask = "x"\nexpect = "("', "step 1: expect: '(' is no regular expression"),
        ('[[steps]]\nask = "x"\nhear = "q.wav"', "step 1: hear and ask are two turns"),
        ('[[steps]]\ncamera = "a.png"\nexpect = "x"', "step 1: expect needs a turn in the same step"),
        ("[[steps]]\nwait_ms = 5\ninterrupt_after_ms = 1", "step 1: interrupt_after_ms needs a turn"),
        ("[[steps]]\nwait_ms = -1", "step 1: Expected `int` >= 0"),
        ('[[steps]]\nkill = "gateway"', "step 1: Invalid enum value 'gateway'"),
        ('[[steps]]\nmute = "nose"', "step 1: Invalid enum value 'nose'"),
        ("[[steps]]\nat_ms = 5", "step 1: there is nothing to do in it"),
        ("[[steps]]\nask = 3", "step 1: Expected `str | null`"),
        ("[[steps]", "not valid TOML"),
        ('profile = 3\n[[steps]]\nask = "x"', "Expected `str`"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(folder: Path, text: str, says: str) -> None:
    path = written(folder, text)
    with pytest.raises(ScenarioError) as error:
        scenario.load(path)
    assert says in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_scenario_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.toml: cannot be read"):
        scenario.load(tmp_path / "nowhere.toml")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from([*Step.__struct_fields__, "steps", "settings", "profile", "other"])


@given(st.dictionaries(KEYS, PLAIN, max_size=4), st.lists(st.dictionaries(KEYS, PLAIN, max_size=4), max_size=3))
def test_anything_is_either_read_or_refused_in_words(top: dict[str, Any], steps: list[dict[str, Any]]) -> None:
    try:
        read = scenario.parse({**top, "steps": steps}, Path("s.toml"))
    except ScenarioError as error:
        told = str(error)
    else:
        told = "s.toml" if len(read.steps) == len(steps) else "steps were lost"
    assert told.startswith("s.toml")


@pytest.mark.parametrize(
    ("pattern", "text", "held"),
    [(None, "", True), ("blue", "It is BLUE.", True), ("^blue", "It is blue.", False), ("蓝", "蓝色的。", True)],
)
def test_expectations_are_searched_anywhere_in_any_case(pattern: str | None, text: str, held: bool) -> None:
    assert scenario.holds(pattern, text) is held
