"""What a simulated reply can tell of its run: a scripted text with what was given filled in."""

from pathlib import Path

import pytest

from pipelines.llm.librkllm import Seen
from tests.pipelines.simulator.talking import Open, ask, pictures, sums

SHOWN = "{picture:picture #|no picture}"


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("what do you see", "what do you see"),
        ("User: hello\nAssistant: good day\nwhat do you see?\n", "what do you see?"),
        ("four" + " more" * 40, "four" + " more" * 31 + "  …"),
        ("Ada.\nUser: <image>what do you see", "what do you see"),
        ("看" * 60, "看" * 54 + " …"),
    ],
)
def test_the_question_is_the_last_line_of_what_was_given(
    text: str, asked: str, start: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RKLLM_SIM_REPLY", "[{question}]")
    assert ask(start("1.3.0"), text) == f"[{asked}]"


@pytest.mark.parametrize("version", ["1.1.4", "1.2.0", "1.2.3", "1.3.0"])
def test_the_newest_picture_is_told_in_four_digits(version: str, start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RKLLM_SIM_REPLY", "{question}: " + SHOWN)
    session, rows = start(version), pictures(1)
    assert ask(session, "what is it") == "what is it: no picture"
    assert ask(session, Seen("<image>what is it", rows)) == f"what is it: picture {sums(rows)[0][:4]}"


def test_a_chinese_question_gets_the_chinese_script(start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RKLLM_SIM_REPLY", "English")
    monkeypatch.setenv("RKLLM_SIM_REPLY_ZH", "回答“{question}”")
    session = start("1.3.0")
    assert ask(session, "Ça va là-bas?") == "English"
    assert ask(session, "灯亮着吗？") == "回答“灯亮着吗？”"
    assert ask(session, "灯亮着吗？\nis it on?") == "English"


def test_what_is_no_name_stays_as_it_is(start: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    script = '{"name": "lamp", "arguments": {"on": true}} {role:#|} {role} {none} {role:<#> {'
    monkeypatch.setenv("RKLLM_SIM_REPLY", script)
    expected = '{"name": "lamp", "arguments": {"on": true}} user user {none} {role:<#> {'
    assert ask(start("1.3.0"), "x") == expected


def test_lives_are_noted(start: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RKLLM_SIM_LIVES", str(tmp_path / "lives"))
    one, other = start("1.3.0"), start("1.3.0")
    one.close()
    assert [line.split()[0] for line in (tmp_path / "lives").read_text().splitlines()] == ["init", "init", "destroy"]
    other.close()
    assert (tmp_path / "lives").read_text().count("destroy") == 2
