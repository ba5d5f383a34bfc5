"""rkllm-toolkit's RKLLM as Rockchip's examples call it, for tests: the toolkit itself is in no package index.

Arguments and what they may be: rknn-llm 1.3.0, export_rkllm.py of examples/rkllm_api_demo and
examples/multimodal_model_demo; get_logits and chat_model: rkllm-toolkit/examples/test.py of 1.1.4; update_rkllm: the
manual, as others quote it. Types of a SoC, and the words of a refusal: the manual's table 3-3, as others quote it, and
rknn-llm #535. Every call goes to the file that STAND_IN_CALLS names, a JSON line each. STAND_IN_RKLLM names a method
that fails, or ``build:raise``, ``build:kill9``; ``update_rkllm:same`` leaves the file as it was, and
``export_rkllm:nothing`` writes none.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = {
    "rk3588": {"w8a8", "w8a8_g128", "w8a8_g256", "w8a8_g512"},
    "rk3576": {"w4a16", "w4a16_g32", "w4a16_g64", "w4a16_g128", "w8a8"},
    "rk3562": {"w8a8", "w4a16_g32", "w4a16_g64", "w4a16_g128", "w4a8_g32"},
}
WORDS = 50  # of the vocabulary


def _called(method: str, **given: Any) -> bool:
    """Note the call; whether it is to fail."""
    with Path(os.environ["STAND_IN_CALLS"]).open("a") as calls:
        calls.write(json.dumps({"method": method, **given}) + "\n")
    wanted, _, how = os.environ.get("STAND_IN_RKLLM", "").partition(":")
    if wanted != method or how in ("same", "nothing"):
        return False
    print(f"ERROR: the stand-in was told that {method} fails")
    if how.startswith("kill"):
        os.kill(os.getpid(), signal.Signals(int(how[4:])))
    if how == "raise":
        raise ValueError("the stand-in was told to raise")
    return True


def _is(value: Any, *kinds: type) -> None:
    if type(value) not in kinds:
        raise TypeError(f"{value!r} is not {' or '.join(kind.__name__ for kind in kinds)}")


def _file(value: Any) -> None:
    """A path, where one is given, of something that is there, whatever the working directory."""
    if value is not None:
        _is(value, str)
        if not Path(value).is_absolute() or not Path(value).exists():
            raise ValueError(f"{value} is not there")


class RKLLM:
    def __init__(self) -> None:
        self._built = False

    def load_huggingface(
        self,
        model: str,
        model_lora: str | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        custom_config: str | None = None,
        load_weight: bool = True,
    ) -> int:
        for path in (model, model_lora, custom_config):
            _file(path)
        _is(load_weight, bool)
        if device not in ("cpu", "cuda") or dtype not in ("float32", "float16", "bfloat16"):
            raise ValueError(f"{device}, {dtype}")
        given = {"model_lora": model_lora, "device": device, "dtype": dtype, "custom_config": custom_config}
        return -1 if _called("load_huggingface", model=model, load_weight=load_weight, **given) else 0

    def load_gguf(self, model: str) -> int:
        _file(model)
        return -1 if _called("load_gguf", model=model) else 0

    def build(
        self,
        do_quantization: bool = True,
        optimization_level: int = 1,
        quantized_dtype: str = "w8a8",
        quantized_algorithm: str = "normal",
        target_platform: str = "rk3588",
        num_npu_core: int = 3,
        extra_qparams: str | None = None,
        dataset: str | None = None,
        hybrid_rate: float = 0,
        max_context: int = 4096,
    ) -> int:
        _is(do_quantization, bool)
        for number in (optimization_level, num_npu_core, max_context):
            _is(number, int)
        _is(hybrid_rate, int, float)
        for path in (extra_qparams, dataset):
            _file(path)
        if quantized_dtype.lower() not in DTYPES[target_platform.lower()]:
            print(f"ERROR: target_platform: {target_platform} not support quantized_dtype: {quantized_dtype}!")
            return -1
        if quantized_algorithm not in ("normal", "grq", "gdq") or max_context % 32 or max_context > 16384:
            return -1
        samples = json.loads(Path(dataset).read_text()) if dataset else []
        failed = _called(
            "build",
            do_quantization=do_quantization,
            optimization_level=optimization_level,
            num_npu_core=num_npu_core,
            hybrid_rate=hybrid_rate,
            max_context=max_context,
            samples=len(samples),
            first=samples[0] if samples else None,
            quantized_dtype=quantized_dtype,
            quantized_algorithm=quantized_algorithm,
            target_platform=target_platform,
            extra_qparams=extra_qparams,
        )
        self._built = not failed
        return -1 if failed else 0

    def get_logits(self, inputs: dict[str, Any]) -> NDArray[np.float32] | None:
        assert self._built
        ids = inputs["input_ids"]
        if _called("get_logits", shape=list(ids.shape)):
            return None
        return np.zeros((1, ids.shape[1], WORDS), np.float32)  # every word as likely: the perplexity is WORDS

    def chat_model(self, messages: str, args: dict[str, Any]) -> str:
        assert self._built
        _is(messages, str)
        _is(args, dict)
        if _called("chat_model", messages=messages, args=args):
            raise RuntimeError("no answer")
        return f"simulated answer to {messages}"

    def export_rkllm(self, export_path: str) -> int:
        assert self._built
        _is(export_path, str)
        if _called("export_rkllm", export_path=export_path):
            return -1
        if os.environ.get("STAND_IN_RKLLM") != "export_rkllm:nothing":
            Path(export_path).write_bytes(b"RKLLM of the stand-in")
        if "adapter" in Path(os.environ["STAND_IN_CALLS"]).read_text():
            Path(export_path).with_suffix(".lora.rkllm").write_bytes(b"LoRA of the stand-in")
        return 0

    def update_rkllm(self, model: str) -> int:
        _file(model)
        if _called("update_rkllm", model=model):
            return -1
        if os.environ.get("STAND_IN_RKLLM") != "update_rkllm:same":
            Path(model).write_bytes(Path(model).read_bytes() + b" of a new format")
        return 0
