"""The demo's steps on a simulated board, for every family of releases: each reply proves which picture it was given,
the two engines never overlap on the NPU, and what was killed comes back with the conversation."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
SCENARIO = ROOT / "tests" / "scenarios" / "board.toml"
BOARDS = (
    "rk3588:smolvlm-256m:1.1.4",
    "rk3576:qwen2-vl-2b:1.2.0",
    "rk3588:minicpm-v-2.6:1.2.1b1",
    "rk3576:qwen3.5-0.8b:1.2.3",
    "rk3588:qwen3-vl-2b:1.3.0",
)
PICTURE = re.compile(r"(?:picture |照片是 )([0-9a-f]{4})\b")
# Which steps are about which of the pictures; those in which it is new to the model.
SHOWN = {"table-1": (1, 2, 3, 14), "table-2": (4, 6, 8, 11), "table-3": (13,)}
FRESH = (1, 4, 11, 13, 14)
IN_HAND = 11  # vision still had it, when dialogue came back and somebody spoke
KEPT = (2, 6)
KILLED = 2  # language models that were loaded: the first, and the one after the kill


def replayed(board: str, folder: Path) -> tuple[list[dict[str, Any]], str]:
    environment = {"RKLLM_SIM_NPU": str(folder / "npu"), "RKLLM_SIM_LIVES": str(folder / "lives")}
    environment["TMPDIR"] = str(folder)
    command = [sys.executable, "-m", "assistant", "replay", str(SCENARIO), "--json"]
    command += ["--simulate", board, "--speedup", "40"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=170)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_a_conversation_on_each_board(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(len(BOARDS))]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(len(BOARDS)) as pool:  # in real time, so together they take no longer than one
        for board, folder, (lines, said) in zip(BOARDS, folders, pool.map(replayed, BOARDS, folders), strict=True):
            examine(board, lines, said, folder)


def examine(board: str, lines: list[dict[str, Any]], said: str, folder: Path) -> None:
    assert [(board, line["step"], line["why"]) for line in lines if not line["ok"]] == [], said
    by_step = {line["step"]: line for line in lines}
    assert len(by_step) == 14, said
    told = {step: found[1] for step, line in by_step.items() if (found := PICTURE.search(line["answer"]))}
    seen = {name: {told[step] for step in steps} for name, steps in SHOWN.items()}
    assert [len(pictures) for pictures in seen.values()] == [1, 1, 1], (board, told)
    assert len(set.union(*seen.values())) == 3, (board, told)
    assert [step for step in FRESH + KEPT if by_step[step]["picture_fresh"]] == list(FRESH), board
    assert by_step[3]["picture_fresh"] is None, board  # small talk: no look
    assert by_step[5]["finish_reason"] == "interrupted", board
    assert not (folder / "npu.overlaps").exists(), board
    answered = [line for line in by_step.values() if line["completion_tokens"] and line["finish_reason"] == "stop"]
    assert all(line["npu"]["reply"]["hold_ms"] > 0 and line["tokens_per_s"] > 0 for line in answered), board
    encoded = [by_step[step]["npu"]["encode"] for step in FRESH if "encode" in by_step[step]["npu"]]
    assert len(encoded) >= 2, board  # a change that came long enough before the question was encoded while it was idle
    assert all(cost["hold_ms"] > 0 for cost in encoded), board
    assert "encode" not in by_step[IN_HAND]["npu"], board
    assert all((line["memory_mb"] is not None) == (board[-5:] in ("1.2.3", "1.3.0")) for line in answered), board
    lives = (folder / "lives").read_text().split()
    assert (lives.count("init"), lives.count("destroy")) == (KILLED, KILLED - 1), board
    assert [path.name for path in folder.iterdir() if path.name.startswith("assistant-")] == [], board
    assert f"Simulated board: {', '.join(board.split(':')[:2])}, RKLLM {board.split(':')[2]}, 40 times" in said
    assert f"模拟开发板：{board.split(':')[0]}" in said
    assert re.search(rf"pocketsphinx at {board[:6]}'s pace: \d+ ms a second of speech \(assumed", said)
