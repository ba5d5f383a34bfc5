"""The texts of /proc and /sys as facts, and findings in words."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.core import doctor
from assistant.core.doctor import parse
from assistant.core.doctor.facts import Choice, Facts, Known, Live, Model, Part
from assistant.core.doctor.finding import Finding, Reason, Verdict
from assistant.core.doctor.models import chosen_models, needed_mb, taken
from assistant.core.doctor.words import REASONS, WORDS, tell


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rockchip,rk3588", "rk3588"),
        ("rockchip,rk3588s", "rk3588"),
        ("rockchip,rk3576-rknpu", "rk3576"),
        ("rockchip,rk3566", ""),
        ("radxa,rock-5b", ""),
        ("", ""),
    ],
)
def test_the_soc(text: str, found: str) -> None:
    assert parse.soc(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RKNPU driver: v0.9.8\n", "0.9.8"),
        ("0.9.8\n", "0.9.8"),
        ("RKNPU driver: v0.9.10", "0.9.10"),
        ("RKNPU driver: unknown", ""),
        ("", ""),
    ],
)
def test_the_driver(text: str, found: str) -> None:
    assert parse.driver(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("NPU load:  Core0:  0%, Core1: 55%, Core2: 100%,", (0, 55, 100)),
        ("NPU load:  0%", (0,)),
        ("NPU load:  429496%", ()),
        ("NPU load:  Core0: 12%, Core1: 429496%,", ()),
        ("", ()),
    ],
)
def test_the_load(text: str, found: tuple[int, ...]) -> None:
    assert parse.loads(text) == found


def test_versions_are_compared_as_numbers() -> None:
    assert parse.version("6.1.84-vendor-rk35xx") == (6, 1, 84)
    assert parse.version("5.10.209") > parse.version("5.10.99")
    assert parse.version("6.1") == (6, 1, 0)
    assert parse.version("v6.1") == parse.version("") == ()
    assert parse.needs("rkllm >= 1.1.4 (newer ones load it), rknn >= 2.3.0, driver >= 0.9.8") == {
        "rkllm": "1.1.4",
        "rknn": "2.3.0",
        "driver": "0.9.8",
    }


def test_limits_and_memory() -> None:
    limits = (
        "Max file locks  unlimited unlimited locks\nMax open files            1024                 4096     files\n"
    )
    assert parse.open_files(limits) == 1024
    assert parse.open_files("Max open files unlimited unlimited files") == 1 << 30
    assert parse.open_files("Max processes 3 3 processes") is None
    assert parse.memory("MemTotal:  8000 kB\nMemFree: x kB\nSwapTotal: 0 kB\nMemAvailable: -1 kB") == {
        "MemTotal": 8000,
        "SwapTotal": 0,
    }
    assert parse.celsius("46230\n") == 46.23
    assert parse.celsius("-274000") is None
    assert parse.celsius("2147483647") is None
    assert parse.frequencies("300000000 x 1000000000\n") == (300_000_000, 1_000_000_000)


@given(st.text(max_size=80) | st.binary(max_size=80).map(lambda data: data.decode("utf-8", "replace")))
def test_no_text_makes_them_stumble(text: str) -> None:
    for each in (
        parse.strings, parse.soc, parse.number, parse.version, parse.driver, parse.loads, parse.memory,
        parse.open_files, parse.celsius, parse.governor, parse.frequencies, parse.needs,
    ):  # fmt: skip
        each(text)
    assert all(load <= 100 for load in parse.loads(text))
    assert parse.governor(text).replace("_", "a").isalnum() or parse.governor(text) == ""


def fields(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


@pytest.mark.parametrize("case", WORDS)
def test_both_languages_say_the_same(case: str) -> None:
    """A complaint has a mend, and no language leaves out a value that the other gives."""
    words = WORDS[case]
    assert fields(words.fact["en"]) == fields(words.fact["zh"])
    assert bool(words.mend["en"]) == bool(words.mend["zh"])
    assert (words.status in ("warning", "failure")) <= bool(words.mend["en"])
    assert not words.fact["zh"].isascii() or words.fact["zh"] == words.fact["en"]
    assert len(words.mend["en"]) <= 120


def test_reasons_are_told_in_both_languages() -> None:
    for case, words in REASONS.items():
        assert fields(words["en"]) == fields(words["zh"]), case
    reasons = (
        Reason("onnx", "model.missing", "/m"),
        Reason("openai", "unconfigured"),
        Reason("rknn", "model.magic", "x"),
    )
    one = Finding("engines", "models", "failure", "engine.none", {"key": "a.b", "reasons": reasons})
    assert tell(one, "en")[0].endswith(
        "(onnx: its model is not here (/m); openai: not configured; rknn: its model is damaged (x))"
    )
    assert "openai：没有配置" in tell(one, "zh")[0]


def test_what_a_terminal_would_obey_is_not_told() -> None:
    found = Finding("soc", "board", "ok", "soc.ok", Verdict("soc.ok", {"soc": "rk3588", "board": "\x1b[2J\n"}).values)
    assert tell(found, "en")[0] == "rk3588 (?[2J?)"


def model(key: str, path: str, size: int, name: str = "", ram_mb: float = 0) -> Model:
    known = Known(name=name, ram_mb=ram_mb) if name else None
    return Model(key=key, path=path, kind="file", parts=(Part(path="m", size=size, head=b"RKNN"),), known=known)


def test_auto_takes_what_can_run_and_says_why_not_the_others() -> None:
    order = ("rkllm", "onnx", "openai")
    choice = Choice(key="dialogue.llm", role="llm", engine="auto", order=order, tables={"onnx": {}, "openai": {}})
    there = model("dialogue.llm.onnx.model", "/m.onnx", 1)
    gone = Model(key="dialogue.llm.onnx.model", path="/m.onnx")
    seen = Facts(choices=(choice,), models=(there,), live=Live(packages={"onnxruntime": "1", "openai": "3"}))
    assert taken(choice, seen) == "onnx"
    without = Facts(choices=(choice,), models=(gone,), live=seen.live)
    assert taken(choice, without) == "openai"
    (verdict,) = [f for f in doctor.examine(without) if f.check == "engines"]
    assert verdict.values["reasons"] == (Reason("rkllm", "unconfigured"), Reason("onnx", "model.nowhere", "/m.onnx"))
    assert taken(choice, Facts(choices=(choice,), models=(gone,), live=Live())) == ""


def test_memory_counts_a_model_once_as_the_manifest_has_it() -> None:
    choices = tuple(
        Choice(key=key, role="", engine=engine, order=(engine,), tables={engine: {}})
        for key, engine in (("a", "rkllm"), ("b", "rknn"), ("c", "onnx"))
    )
    facts = Facts(
        choices=choices,
        models=(
            model("a.rkllm.model", "/x.rkllm", 2_000_000, "X", 3100),
            model("b.rknn.model", "/x.rknn", 1_000_000, "X", 3100),
            model("c.onnx.model", "/y.onnx", 250_000_000),
            model("c.openai.model", "/z", 999_000_000),
        ),
    )
    assert [one.path for one in chosen_models(facts)] == ["/x.rkllm", "/x.rknn", "/y.onnx"]
    assert needed_mb(facts) == 3350
