"""Other scenes and other voices than the demo's: what holds there holds for any seed of the renderer."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.commands.test_replay import replay

ROOT = Path(__file__).resolve().parent.parent.parent
SPEECH = ROOT / "tests" / "speech"
SEEDS = 40  # enough that each question below finds a scene that it can be asked about
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")

Truth = dict[str, Any]


def _count(kind: str) -> Callable[[Truth], str]:
    return lambda truth: rf"\b{NUMBERS[sum(thing['kind'] == kind for thing in truth['objects'])]}\b"


def _number(truth: Truth) -> str:
    return rf"\b{NUMBERS[len(truth['objects'])]}\b"


def _gauge(truth: Truth) -> str:
    return rf"\b{NUMBERS[truth['gauge']]}\b"


# (voice, phrase, which scenes it can be asked about, what the answer must hold)
QUESTIONS: tuple[tuple[str, str, Callable[[Truth], bool], Callable[[Truth], str]], ...] = (
    ("rms", "how-many-objects-are-there", lambda t: len(t["objects"]) > 1, _number),
    ("kal16", "what-color-is-the-lamp", lambda t: t["lamp"] in ("red", "green"), lambda t: rf"\b{t['lamp']}\b"),
    ("awb", "is-the-lamp-on", lambda t: t["lamp"] == "off", lambda t: r"\b(no|off)\b"),
    ("rms", "what-does-the-gauge-read", lambda t: t["gauge"] is not None, _gauge),
    ("kal16", "how-many-cones-are-there", lambda t: any(o["kind"] == "cone" for o in t["objects"]), _count("cone")),
    (
        "awb",
        "is-there-a-ball",
        lambda t: any(o["kind"] == "ball" for o in t["objects"]),
        lambda t: r"^yes\b",
    ),
)


def test_other_scenes_and_voices_are_answered_truly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "models.pico.scene", "--seed", "7100", "--count", str(SEEDS)]
    subprocess.run([*command, "--out", str(tmp_path)], check=True, cwd=ROOT)
    scenes = {path.with_suffix(".png"): json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"))}
    steps = ['profile = "demo"']
    for voice, phrase, fits, expected in QUESTIONS:
        picture, truth = next((picture, truth) for picture, truth in scenes.items() if fits(truth))
        scenes.pop(picture)
        steps += [
            "[[steps]]",
            "clear = true",
            "[[steps]]",
            f"camera = '{picture}'",
            f"hear = '{SPEECH / voice / phrase}.wav'",
            f"expect_heard = '^{phrase.replace('-', ' ')}$'",
            f"expect = '{expected(truth)}'",
        ]
    steps += ["[[steps]]", f"hear = '{SPEECH}/foreign/turn-on-the-radio.wav'", "expect_dropped = 'not understood'"]
    path = tmp_path / "scenario.toml"
    path.write_text("\n".join(steps))
    code, lines, said = replay(path)
    assert [(line["step"], line["heard"], line["answer"], line["why"]) for line in lines if not line["ok"]] == [], said
    assert code == 0, said
