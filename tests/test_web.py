"""The console's files, as far as they can be judged without a browser: weight, words, colours, what they reach for."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant import paths

WEB = paths.web()
FILES = sorted(path for path in WEB.rglob("*") if path.is_file())
SCRIPTS = {path.name: path.read_text("utf-8") for path in FILES if path.suffix == ".js"}
PAGE = (WEB / "index.html").read_text("utf-8")
STYLE = (WEB / "style.css").read_text("utf-8")

# --- what it weighs and reaches for ---


def test_the_whole_page_weighs_no_more_than_it_may() -> None:
    assert sum(path.stat().st_size for path in FILES) <= 150_000


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_is_loaded_from_another_host(path: Path) -> None:
    names = set(re.findall(r"\b(?:https?:|wss?:)?//[a-z][\w.-]*\.\w+", path.read_text("utf-8")))
    assert names <= {"http://www.w3.org"}  # the name of SVG, which nobody fetches


def test_the_page_holds_no_script_and_no_style_of_its_own() -> None:
    """The policy that it is served with would refuse them."""
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", PAGE)
    assert re.findall(r'<script[^>]*src="([^"]+)"', PAGE) == ["/static/main.js"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_of_text(name: str) -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\b|\bFunction\(|setAttribute\(.style",
        SCRIPTS[name],
    )


def test_every_file_that_is_named_is_there() -> None:
    named = re.findall(r'/static/([\w.-]+)"', PAGE + "".join(SCRIPTS.values()))
    named += [found for text in SCRIPTS.values() for found in re.findall(r'from "\./([\w.-]+)"', text)]
    assert set(named) <= {path.name for path in FILES}
    assert {path.name for path in FILES} - {"index.html"} == set(named)


def test_every_drawing_that_is_used_is_there() -> None:
    drawn = {"question"} | set(re.findall(r'<symbol id="([\w-]+)"', PAGE))
    # "question" is what the first link leads to.
    devices = {f"icon-{device}{off}" for device in ("microphone", "camera", "speaker") for off in ("", "-off")}
    named = {f"icon-{name}" for text in SCRIPTS.values() for name in re.findall(r'icon\("([\w-]+)"\)', text)}
    assert set(re.findall(r'href="#([\w-]+)"', PAGE)) | devices | named == drawn


# --- words ---

ENTRY = re.compile(r'^  (?:"([\w.]+)"|(\w+)): \[\s*"((?:[^"\\]|\\.)*)",\s*"((?:[^"\\]|\\.)*)",?\s*\]', re.MULTILINE)
STRINGS = {quoted or bare: (en, zh) for quoted, bare, en, zh in ENTRY.findall(SCRIPTS["strings.js"])}
# Words for what the daemon names: looked up as "group.name".
GROUPS = (
    "phase",
    "reason",
    "stage",
    "state",
    "service",
    "persona",
    "picture",
    "hold",
    "figure",
    "health",
    "manner",
    "eye",
)


def test_everything_is_said_in_both_languages() -> None:
    assert len(STRINGS) == len(re.findall(r"^  [\w\".]+: \[", SCRIPTS["strings.js"], re.MULTILINE)) > 100
    for key, (en, zh) in STRINGS.items():
        assert en.count("{}") == zh.count("{}"), key
        assert not re.search(r"[\u3400-\u9fff]", en) or key == "language.other", key
        assert re.search(r"[\u3400-\u9fff]", zh) or key == "language.other", key


def _used() -> Iterator[str]:
    yield from re.findall(r'data-t(?:-label|-hint)?="([\w.]+)"', PAGE)
    for text in SCRIPTS.values():
        yield from re.findall(r'\bt\("([\w.]+)"', text)


def test_no_word_is_missing() -> None:
    assert set(_used()) <= set(STRINGS)


def test_no_word_is_left_over() -> None:
    everything = PAGE + "".join(text for name, text in SCRIPTS.items() if name != "strings.js")
    for key in STRINGS:
        group, _, rest = key.partition(".")
        assert f'"{key}"' in everything or group in GROUPS or rest in ("on", "off", "turn", "back"), key


# --- colours ---


def _colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


LIGHT = _colours(STYLE[: STYLE.index("@media (prefers-color-scheme: dark)")])
DARK = _colours(STYLE[STYLE.index("@media (prefers-color-scheme: dark)") :])
STAGES = ("speech", "endpoint", "asr", "encode", "prefill", "generate", "voice", "output", "sound")

PAIRS: list[tuple[str, str, float]] = [
    *((ink, ground, 4.5) for ink in ("ink", "soft", "bad") for ground in ("ground", "panel", "raised")),
    *((ink, ground, 4.5) for ink in ("good", "warn") for ground in ("ground", "panel")),
    ("ink", "tint", 4.5),
    ("soft", "line", 4.5),
    ("on-accent", "accent", 4.5),
    ("on-accent", "accent-deep", 4.5),
    ("on-bad", "bad-ground", 4.5),
    ("panel", "ink", 4.5),
    # What is no text but has to be seen (WCAG 1.4.11).
    *((mark, "panel", 3.0) for mark in ("edge", "accent", "focus", *STAGES)),
    ("edge", "raised", 3.0),
    ("focus", "ground", 3.0),
]


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """As WCAG 2.2 defines it, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("mark", "ground", "least"), PAIRS, ids=lambda value: str(value))
def test_colours_can_be_told_apart(theme: str, mark: str, ground: str, least: float) -> None:
    table = LIGHT if theme == "light" else LIGHT | DARK
    assert contrast(table[mark], table[ground]) >= least


def test_both_themes_have_every_colour() -> None:
    assert LIGHT.keys() == DARK.keys()
