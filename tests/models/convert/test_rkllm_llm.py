"""The command from model to report, against a stand-in that takes only what the toolkit documents."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models.convert import rkllm_convert, rkllm_llm
from models.convert.rkllm_options import LlmOptions
from models.convert.rkllm_source import Source
from tests.models.convert import llms
from tests.models.convert.daemon import taken

STAND_IN = Path(__file__).parent / "stand_in"
Calls = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    """The stand-in is installed; gives what was called."""
    noted = tmp_path / "calls"
    monkeypatch.syspath_prepend(str(STAND_IN))
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("STAND_IN_CALLS", str(noted))
    yield lambda: [json.loads(line) for line in noted.read_text().splitlines()] if noted.exists() else []
    sys.modules.pop("rkllm", None)


def convert(tmp_path: Path, *more: str, model: Path | None = None) -> int:
    chosen = model or llms.folder(tmp_path / "a model")
    return rkllm_llm.main(["convert", str(chosen), "--out", str(tmp_path / "out" / "llm.rkllm"), *more])


def report(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "out" / "llm.rkllm.json").read_text())


def test_a_folder(tmp_path: Path, calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(tmp_path, "--soc", "rk3576", "--max-context", "8192") == 0
    load, build, export = calls()
    assert load == {
        "method": "load_huggingface", "model": str(tmp_path / "a model"), "model_lora": None, "device": "cpu",
        "dtype": "float32", "custom_config": None, "load_weight": True,
    }  # fmt: skip
    assert (build["quantized_dtype"], build["quantized_algorithm"], build["num_npu_core"]) == ("w4a16", "grq", 2)
    assert (build["max_context"], build["samples"] > 50) == (8192, True)
    assert build["first"]["input"].startswith("<|im_start|>system\n")
    assert export["method"] == "export_rkllm"
    said = report(tmp_path)
    assert (said["soc"], said["dtype"], said["model"]["bytes"]) == ("rk3576", "w4a16", 21)
    assert said["settings"]["dialogue.llm.rkllm.context_limit"] == 8192
    assert said["options"]["calibrated_on"] == build["samples"]
    assert any("takes hours" in one for one in said["warnings"])
    assert "llm.rkllm: rkllm for rk3576, w4a16" in capsys.readouterr().out


def test_settings_are_what_the_daemon_takes(tmp_path: Path, calls: Calls) -> None:
    assert convert(tmp_path, "--max-context", "2048") == 0
    said = report(tmp_path)["settings"]
    assert (said["dialogue.llm.rkllm.context"], said["dialogue.llm.rkllm.context_limit"]) == (2048, 2048)
    assert taken(said) == 0


def test_everything_that_can_be_asked_reaches_the_toolkit(tmp_path: Path, calls: Calls) -> None:
    (tmp_path / "own.json").write_text('{"BLOCKNAME": "Block", "TOKEN_EMBD": "wte"}')
    (tmp_path / "gdq.qparams").write_bytes(b"found")
    (tmp_path / "mine.json").write_text('[{"input": "Human: hello\\nAssistant: ", "target": "Hello!"}]')
    given = {
        "--lora": str(llms.adapter(tmp_path / "adapter")),
        "--custom-config": str(tmp_path / "own.json"),
        "--extra-qparams": str(tmp_path / "gdq.qparams"),
        "--dataset": str(tmp_path / "mine.json"),
        "--soc": "rk3576", "--dtype": "w4a16_g64", "--algorithm": "gdq", "--device": "cuda",
        "--load-dtype": "float16", "--cores": "1", "--optimization-level": "0", "--hybrid-rate": "0.25",
    }  # fmt: skip
    assert convert(tmp_path, *(word for pair in given.items() for word in pair)) == 0
    load, build, _ = calls()
    assert (load["model_lora"], load["custom_config"]) == (given["--lora"], given["--custom-config"])
    assert (load["device"], load["dtype"]) == ("cuda", "float16")
    assert (build["quantized_dtype"], build["quantized_algorithm"]) == ("w4a16_g64", "gdq")
    assert (build["extra_qparams"], build["samples"]) == (given["--extra-qparams"], 1)
    assert (build["num_npu_core"], build["optimization_level"], build["hybrid_rate"]) == (1, 0, 0.25)
    assert report(tmp_path)["checks"]["beside it"] == ["llm.lora.rkllm"]
    assert (tmp_path / "out" / "llm.lora.rkllm").is_file()
    assert len(report(tmp_path)["sources"]) == 2


def test_paths_from_here_reach_a_child_that_works_elsewhere(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    llms.folder(tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    assert rkllm_llm.main(["convert", "m", "--out", "o.rkllm"]) == 0
    assert calls()[0]["model"] == str(tmp_path / "m")
    assert (tmp_path / "o.rkllm").is_file()


def test_gguf(tmp_path: Path, calls: Calls) -> None:
    assert convert(tmp_path, model=llms.gguf(tmp_path / "m.gguf", {"w": 1})) == 0
    load, build, _ = calls()
    assert load == {"method": "load_gguf", "model": str(tmp_path / "m.gguf")}
    assert (build["do_quantization"], build["samples"]) == (False, 0)
    assert report(tmp_path)["dtype"] == "fp16"


def test_the_model_is_tried_before_it_is_written(tmp_path: Path, calls: Calls) -> None:
    (tmp_path / "text.txt").write_text("word " * 500)
    more = ("--chat", "hello", "--perplexity", str(tmp_path / "text.txt"), "--perplexity-tokens", "1024")
    assert convert(tmp_path, *more) == 0
    assert [call["method"] for call in calls()] == [
        "load_huggingface", "build", "chat_model", "get_logits", "get_logits", "export_rkllm",
    ]  # fmt: skip
    checks = report(tmp_path)["checks"]
    assert checks["answered"] == "simulated answer to hello"
    assert checks["perplexity"] == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ("load_huggingface", "could not load the model (it returned -1); it said: ERROR: the stand-in"),
        ("build", "could not build the model"),
        ("build:raise", "raised ValueError at 'building, the longest part'"),
        ("build:kill9", "the system killed the toolkit at 'building, the longest part'"),
        ("chat_model", "raised RuntimeError at 'asking the simulated model'"),
        ("get_logits", "no perplexity: the toolkit gave no logits"),
        ("export_rkllm", "could not write"),
        ("export_rkllm:nothing", "says that it wrote the model, but there is none"),
    ],
)
def test_each_stage_that_fails_is_a_sentence_and_leaves_no_model(
    tmp_path: Path,
    calls: Calls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stage: str,
    says: str,
) -> None:
    monkeypatch.setenv("STAND_IN_RKLLM", stage)
    (tmp_path / "text.txt").write_text("word " * 500)
    assert convert(tmp_path, "--chat", "hello", "--perplexity", str(tmp_path / "text.txt")) == 1
    assert says in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["llm.rkllm.log"]


def test_gguf_that_does_not_load(tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN_RKLLM", "load_gguf")
    assert convert(tmp_path, model=llms.gguf(tmp_path / "m.gguf", {"w": 1})) == 1
    assert [call["method"] for call in calls()] == ["load_gguf"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--dtype", "w4a16"), "the nearest is w8a8"),
        (("--max-context", "5000"), "nearest to 5000 is 4992"),
        (("--dataset", "nothing.json"), "the calibration nothing.json cannot be read"),
        (("--lora", "nothing"), "no LoRA adapter"),
        (("--custom-config", "nothing.json"), "nothing.json cannot be read"),
        (("--extra-qparams", "nothing"), "there is no file nothing"),
        (("--perplexity", "nothing"), "there is no file nothing"),
        (("--out", "m.bin"), "is no .rkllm"),
    ],
)
def test_nothing_is_loaded_for_what_does_not_go(
    tmp_path: Path, calls: Calls, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str
) -> None:
    assert convert(tmp_path, *more) == 2
    assert says in capsys.readouterr().err
    assert calls() == []


def test_what_is_there_is_replaced_only_when_told(tmp_path: Path, calls: Calls) -> None:
    assert convert(tmp_path) == 0
    assert convert(tmp_path) == 2
    assert convert(tmp_path, "--force") == 0


def test_without_the_toolkit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(tmp_path) == 69
    assert "github.com/airockchip/rknn-llm" in capsys.readouterr().err


def test_update(
    tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = tmp_path / "old.rkllm", tmp_path / "new" / "new.rkllm"
    old.write_bytes(b"1.0.2")
    given = ["update", str(old), "--out", str(new)]
    assert rkllm_llm.main(given) == 0
    assert (old.read_bytes(), new.read_bytes()) == (b"1.0.2", b"1.0.2 of a new format")
    assert rkllm_llm.main(given) == 2
    monkeypatch.setenv("STAND_IN_RKLLM", "update_rkllm:same")
    assert rkllm_llm.main([*given, "--force"]) == 1
    assert "left nothing new" in capsys.readouterr().err
    monkeypatch.setenv("STAND_IN_RKLLM", "update_rkllm")
    assert rkllm_llm.main([*given, "--force"]) == 1
    assert "could not update the model" in capsys.readouterr().err
    assert new.read_bytes() == b"1.0.2 of a new format"
    assert rkllm_llm.main(["update", str(tmp_path / "no.rkllm"), "--out", str(tmp_path / "n.rkllm")]) == 2


def test_choices_and_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rkllm_llm.main(["choices", "--soc", "rk3562"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert all(line.startswith(("SOC", "rk3562")) for line in lines)
    assert rkllm_llm.main(["dataset", "--out", str(tmp_path / "d.json"), "--template", "chatml"]) == 0
    assert json.loads((tmp_path / "d.json").read_text())[0]["input"].startswith("<|im_start|>")


def test_memory_that_is_not_there(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable: 8000000 kB\nSwapFree: 0 kB\n")
    options = LlmOptions(model=Path("m"), out=Path("o"))
    [said] = rkllm_convert.memory(Source("hf", "float", "q", 15_000_000_000), options, meminfo)
    assert "take 30 GB once loaded and 8 GB are free" in said
    assert rkllm_convert.memory(Source("hf", "float", "q", 3_000_000_000), options, meminfo) == []
    assert rkllm_convert.memory(Source("hf", "float", "q", 15_000_000_000), options, tmp_path / "none") == []
