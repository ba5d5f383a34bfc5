"""The real processes on a simulated board, for every family of releases: each reply proves which picture it was given,
the two engines never overlap on the NPU, and a killed process takes the other's work with it no more than a moment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import simulator
from pipelines.simulator import build

ROOT = Path(__file__).resolve().parent.parent.parent
TABLES = ROOT / "config" / "demo"
SCENARIO = f"""
profile = "demo"
[[steps]]
camera = "{TABLES}/table-1.png"
ask = "what do you see"
expect = "^Shown [0-9a-f]{{8}}\\\\.$"
[[steps]]
ask = "what is on the table"
expect = "^Shown [0-9a-f]{{8}}\\\\.$"
[[steps]]
camera = "{TABLES}/table-2.png"
ask = "what do you see"
expect = "^Shown [0-9a-f]{{8}}\\\\.$"
[[steps]]
kill = "dialogue"
[[steps]]
ask = "what do you see"
expect = "^Shown [0-9a-f]{{8}}\\\\.$"
[[steps]]
kill = "vision"
[[steps]]
camera = "{TABLES}/table-1.png"
ask = "what do you see"
expect = "^Shown [0-9a-f]{{8}}\\\\.$"
"""


@pytest.mark.parametrize("version", ["1.1.4", "1.2.0", "1.2.1b1", "1.2.3", "1.3.0"])
def test_a_conversation_on_a_board(version: str, tmp_path: Path) -> None:
    library = build.library(version, tmp_path)
    model = simulator.write_model(tmp_path / "m.rkllm", soc="rk3588", width=64)
    encoder = simulator.write_encoder(tmp_path / "m.rknn", size=448, tokens=16, width=16, outputs=4, soc="rk3588")
    (tmp_path / "scenario.toml").write_text(SCENARIO)
    settings = [
        "vision.encoder.engine=rknn",
        f"vision.encoder.rknn.model={encoder}",
        "vision.encoder.rknn.size=448",
        "dialogue.llm.engine=rkllm",
        f"dialogue.llm.rkllm.model={model}",
        f"dialogue.llm.rkllm.library={library}",
        "dialogue.llm.rkllm.row_width=64",
    ]
    environment = {
        "PYTHONPATH": f"{ROOT}:{simulator.STAND_IN}",
        "ASSISTANT_NPU": str(tmp_path / "npu"),
        "RKLLM_SIM_SOC": "rk3588",
        "RKLLM_SIM_NPU": str(tmp_path / "board"),
        "RKLLM_SIM_REPLY": "Shown {pictures}.",
        "RKLLM_SIM_ENCODE_MS": "30",
        "RKLLM_SIM_PREFILL_MS": "0.2",
    }
    command = [sys.executable, "-m", "assistant", "replay", str(tmp_path / "scenario.toml"), "--json"]
    command += [part for setting in settings for part in ("--set", setting)]
    done = subprocess.run(command, cwd="/", env=os.environ | environment, capture_output=True, text=True, timeout=150)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["step"], line["why"]) for line in lines if not line["ok"]] == [], done.stderr
    shown = [line["answer"] for line in lines if line.get("answer")]
    assert len(shown) == 5
    first, same, second, after, again = shown
    assert first == same
    assert first != second
    assert second == after  # the killed process has another picture of the same scene before it
    assert first == again
    answered = [line for line in lines if line.get("answer")]
    assert all(line["npu"]["reply"]["hold_ms"] > 0 and line["tokens_per_s"] > 0 for line in answered)
    assert all(
        (line["npu"]["encode"]["hold_ms"] >= 30) == line["picture_fresh"]
        for line in answered
        if "encode" in line["npu"]
    )
    assert sum("encode" in line["npu"] for line in answered) >= 3
    assert all((line["memory_mb"] is not None) == (version in ("1.2.3", "1.3.0")) for line in answered)
    assert not (tmp_path / "board.overlaps").exists()
