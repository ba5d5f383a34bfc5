"""Downloads, decided: addresses, waits, what a response means for a partial file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import modelstore
from assistant.core import fetching
from assistant.core.fetching import Answer, NoSource

KNOWN = modelstore.load().models
VOICE = KNOWN["piper-zh_CN-huayan-medium"]
WHISPER = KNOWN["faster-whisper-base"]


@pytest.mark.parametrize(
    ("given_", "endpoint", "where"),
    [
        (
            "hf",
            "",
            "https://huggingface.co/Systran/faster-whisper-base/resolve/ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66/",
        ),
        ("hf", "https://hf-mirror.com/", "https://hf-mirror.com/Systran/faster-whisper-base/resolve/ebe41f70d5b6"),
        ("modelscope", "", "https://www.modelscope.cn/models/Systran/faster-whisper-base/resolve/master/config.json"),
        ("http://pc:8000/m/", "", "http://pc:8000/m/faster-whisper-base/config.json"),
        ("~/stick", "", "config.json"),
    ],
)
def test_where_a_file_comes_from(given_: str, endpoint: str, where: str) -> None:
    found = fetching.plan("faster-whisper-base", WHISPER, WHISPER.files[0], given_, endpoint)
    assert found.where.startswith(where)
    assert found.where.endswith("config.json")


def test_a_file_may_lie_elsewhere_in_its_repository() -> None:
    found = fetching.plan("v", VOICE, VOICE.files[0], "hf", "")
    assert found.where.endswith("/zh/zh_CN/huayan/medium/zh_CN-huayan-medium.onnx")
    assert fetching.plan("v", VOICE, VOICE.files[0], "x", "").where == "zh_CN-huayan-medium.onnx"


def test_what_lies_nowhere_says_what_to_do() -> None:
    lonely = KNOWN["Qwen3-VL-2B-rk3588"]
    with pytest.raises(NoSource, match=r"lies on no hub: see https://.*--from FOLDER"):
        fetching.plan("Qwen3-VL-2B-rk3588", lonely, lonely.files[0], "hf", "")
    with pytest.raises(NoSource, match="not known to be on ModelScope"):
        fetching.plan("v", VOICE, VOICE.files[0], "modelscope", "")


@pytest.mark.parametrize(
    ("attempt", "asked", "wait"),
    [
        (0, "", 1.0),
        (2, "", 4.0),
        (99, "", 64.0),
        (0, "7", 7.0),
        (0, "Thu, 01 Jan 1970 00:01:00 GMT", 50.0),
        (0, "Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        (1, "soon", 2.0),
        (1, "99999999999999999999", 2.0),
    ],
)
def test_how_long_to_wait(attempt: int, asked: str, wait: float) -> None:
    assert fetching.wait_s(attempt, asked, 10.0) == wait


@pytest.mark.parametrize(
    ("status", "headers", "have", "found"),
    [
        (200, {"content-length": "10"}, 4, Answer(0, 10)),
        (200, {}, 0, Answer(0, 0)),
        (206, {"content-range": "bytes 4-9/10"}, 4, Answer(4, 10)),
        (206, {"content-range": "bytes 4-9/*"}, 4, Answer(4, 0)),
        (206, {"content-range": "bytes 3-9/10"}, 4, None),
        (206, {}, 4, None),
        (206, {"content-range": "lines 4-9/10"}, 4, None),
    ],
)
def test_what_a_response_means(status: int, headers: dict[str, str], have: int, found: Answer | None) -> None:
    assert fetching.answer(status, headers, have) == found


@given(st.text(), st.integers(0, 1 << 40))
def test_any_headers_are_survived(text: str, have: int) -> None:
    fetching.answer(206, {"content-range": text, "content-length": text}, have)
    assert fetching.wait_s(0, text, 0.0) >= 0
    assert len(fetching.declared_sha256(text)) in (0, 64)


def test_what_people_may_see_of_an_address() -> None:
    assert fetching.shown("https://me:secret@cdn.example:8443/a/b?Signature=secret#x") == "https://cdn.example:8443/a/b"


def test_the_token_stays_with_its_host() -> None:
    assert fetching.may_carry_token("https://hub/a", "https://hub/b")
    assert not fetching.may_carry_token("https://hub/a", "https://cdn/b")
    assert not fetching.may_carry_token("https://hub/a", "http://hub/a")


def test_progress_in_one_line() -> None:
    assert fetching.progress("x", 0, 0, 0.0) == "x  0 B  0 B/s"
    assert fetching.progress("x", 50_000_000, 200_000_000, 2e6) == "x  50.0 MB of 200.0 MB   25 %  2.0 MB/s  1:15 left"
    assert fetching.declared_sha256(f'"{"aB" * 32}"') == "ab" * 32
