"""The board files that ship: valid beside every profile, and used unchanged by a simulated board."""

import argparse
import re
from pathlib import Path
from typing import Any

import pytest

from assistant import config, modelstore, paths
from assistant.commands import OK, _settings, main
from assistant.config import Config
from assistant.services import dialogue, vision
from pipelines import engine, simulator
from pipelines.npu import families
from pipelines.simulator import build, timings

BOARDS = sorted(path.stem for path in (paths.shipped("config") / "boards").glob("*.toml"))
SEEING = [board for board in BOARDS if board != "rk3562"]
RELEASES = ("1.1.4", "1.2.0", "1.2.1b1", "1.2.3", "1.3.0")  # one of each family of layouts


def loaded(board: str, profile: str = "camera-qa", *sets: str) -> Config:
    return _settings.load(argparse.Namespace(board=board, profile=profile, set=list(sets)))


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "user_settings", list)


def test_there_is_a_file_for_each_board() -> None:
    assert {*BOARDS} == {"rk3562", "rk3576", "rk3588"} >= {board for board, _ in timings.MODELS}


@pytest.mark.parametrize("profile", config.profiles())
@pytest.mark.parametrize("board", BOARDS)
def test_every_board_goes_with_every_profile(board: str, profile: str) -> None:
    """Also the options of engines that the profile does not choose; what the profile says wins."""
    found, alone = loaded(board, profile), config.load(_settings.sections(), profile)
    llm = found.section("dialogue", dialogue.Settings).llm
    assert llm.engine == alone.section("dialogue", dialogue.Settings).llm.engine
    assert llm.all_options["rkllm"]["soc"] == board
    given = engine.options("llm", "rkllm", llm.all_options["rkllm"])
    assert families.family(str(given.family)).context  # type: ignore[attr-defined]
    encoder = found.section("vision", vision.Settings).encoder
    assert ("rknn" in encoder.all_options) == (board in SEEING)
    if board in SEEING:
        assert encoder.all_options["rknn"]["family"] == llm.all_options["rkllm"]["family"]
        assert encoder.all_options["rknn"]["soc"] == board


def test_a_check_says_so_and_set_wins_over_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--board", "rk3588", "--profile", "camera-qa"]) == OK
    found = loaded("rk3588", "camera-qa", "dialogue.llm.rkllm.family=qwen3-vl-2b")
    assert found.section("dialogue", dialogue.Settings).llm.all_options["rkllm"]["family"] == "qwen3-vl-2b"
    with pytest.raises(config.ConfigError, match="there is no board 'rk3589'; did you mean 'rk3588'"):
        loaded("rk3589")


def test_what_is_pulled_for_a_board_is_where_its_file_looks() -> None:
    """And where the profile looks for ears: the board's sets bring both."""
    known = modelstore.load()
    text = (paths.shipped("config") / "boards" / "rk3588.toml").read_text("utf-8")
    wanted = re.findall(r'^model = "\{models\}/([^"/]+)/?([^"]*)"', text, re.MULTILINE)
    files = {(name, file) for name, file in wanted if file}
    assert len(files) == 2
    assert all(file in [each.path for each in known.models[name].files] for name, file in files)
    for chosen in (known.sets["en"], known.sets["zh"]):
        assert {name for name, _ in files} | {"sense-voice-zh-en-ja-ko-yue"} <= set(chosen.models)
    assert {known.models[name].family for name, _ in files} == {"qwen2-vl-2b"}


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("release", RELEASES)
class TestOnASimulatedBoard:
    """The file's own options; only where its models and the library lie is replaced."""

    @pytest.fixture(autouse=True)
    def _the_board(self, board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(simulator.STAND_IN))
        monkeypatch.setenv("RKLLM_SIM_SOC", board)
        monkeypatch.setenv("ASSISTANT_NPU", str(tmp_path / "npu"))

    def placed(self, board: str, release: str, folder: Path, cache: Path) -> Config:
        family = families.family(str(loaded(board).values["dialogue"]["llm"]["rkllm"]["family"]))
        model = simulator.write_model(folder / "m.rkllm", soc=board, width=family.row_width or 8)
        sets = [f"dialogue.llm.rkllm.model={model}", f"dialogue.llm.rkllm.library={build.library(release, cache)}"]
        if board in SEEING:
            shape = {"size": family.image_size[0], "tokens": family.tokens[0], "width": family.width}
            encoder = simulator.write_encoder(folder / "m.rknn", soc=board, outputs=family.outputs, **shape)
            sets.append(f"vision.encoder.rknn.model={encoder}")
        return loaded(board, "camera-qa", *sets)

    def test_auto_takes_the_engines_of_the_npu(
        self, board: str, release: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        found = self.placed(board, release, tmp_path, tmp_path_factory.getbasetemp())
        llm = made("llm", found.section("dialogue", dialogue.Settings).llm)
        assert engine.told(llm) == "rkllm"
        llm.close()
        if board in SEEING:
            encoder = made("vision", found.section("vision", vision.Settings).encoder)
            assert engine.told(encoder) == "rknn"
            assert encoder.width == llm.capabilities.width
            encoder.close()
        else:
            assert llm.capabilities.wants == "text"


def made(role: str, chosen: config.Engine) -> Any:
    return engine.load(role, chosen.engine, chosen.options)


def test_an_npu_that_is_broken_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(simulator.STAND_IN))
    monkeypatch.setenv("RKLLM_SIM_FAULTS", "old-driver")
    monkeypatch.setenv("ASSISTANT_NPU", str(tmp_path / "npu"))
    monkeypatch.setenv("ASSISTANT_MODELS", str(tmp_path))
    model = simulator.write_encoder(tmp_path / "m.rknn", soc="rk3588")
    sets = [f"vision.encoder.rknn.model={model}", "dialogue.llm.rkllm.library=/nowhere/librkllmrt.so"]
    found = loaded("rk3588", "camera-qa", *sets)
    encoder = made("vision", found.section("vision", vision.Settings).encoder)
    assert re.match("none; not rknn: the NPU does not take .*m.rknn; .*; not onnx: ", engine.told(encoder))
    with pytest.raises(
        engine.EngineError, match=r"rkllm: there is no RKLLM runtime at /nowhere/librkllmrt\.so.*onnx: "
    ):
        made("llm", found.section("dialogue", dialogue.Settings).llm)
