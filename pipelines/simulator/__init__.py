"""A simulated Rockchip board: a librkllmrt.so built from C with the system's compiler, model files for it, its pace.

What it is told and how it fails comes from the environment of the process that loads it, read at each call:

- RKLLM_SIM_REPLY: the reply, or @file; {prompt} {question} {context} {picture} {pictures} {cached} {prefilled} {kv}
  {role} are filled in; {NAME:form|otherwise} is the form, with # for the value, or, where that is empty, what stands
  behind |. Without it the reply is a report in JSON of what the run was given.
- RKLLM_SIM_REPLY_ZH: the same for questions in Chinese.
- RKLLM_SIM_FAULTS: names from FAULTS, with commas.
- RKLLM_SIM_LOAD_MS: how long init takes.
- RKLLM_SIM_PREFILL_MS, RKLLM_SIM_DECODE_MS: how long a token of the prompt, of the reply takes.
- RKLLM_SIM_STAMP: 1: each token's text is the moment at which it is handed over, ns of the monotonic clock.
- RKLLM_SIM_MUTE: 1: nothing is said of the tokens, which are made all the same: what is left is the library's own time.
- RKLLM_SIM_THREAD: 1: callbacks come from a thread of the library's own.
- RKLLM_SIM_UTF8: how a character of several bytes comes: rest (WAITING, then what is missing), whole (WAITING, then all
  of it), raw (in two NORMAL pieces).
- RKLLM_SIM_LIVES: a file that is told of every model that was loaded (init PID) and released (destroy PID).
- RKLLM_SIM_SOC: the board; a model made for another one is refused.
- RKLLM_SIM_NPU: a lock file: runs that overlap on it fail as on a board, and are counted in FILE.overlaps.
- ASSISTANT_THERMAL: a folder with thermal_zone0/type (npu-thermal) and thermal_zone0/temp (thousandths of a °C), which
  the assistant reads instead of the machine's own: write there how hot the board is.
- RKLLM_SIM_ENCODER_LOAD_MS, RKLLM_SIM_ENCODE_MS: how long the image encoder of the stand-in ``rknnlite`` takes to load,
  and for a picture; its folder is STAND_IN.
"""

from pathlib import Path

STAND_IN = Path(__file__).parent / "stand_in"  # for sys.path, or PYTHONPATH of a process

FAULTS = {
    "stale-picture": "with the history kept, a second picture is answered as the first (rknn-llm #257)",
    "deaf-prefill": "an abort during the prefill is seen only after it (#400)",
    "null-handle": "init returns 0 and no handle",
    "no-memory": "init fails for want of NPU memory",
    "context-limit": "the model was converted for 16 tokens",
    "old-driver": "init fails: the rknpu driver is too old",
    "leak": "2 MB stay behind with every picture of a run without history (#529), 42 kB with each that is encoded",
    "hang": "a run never ends, and sees no abort",
    "old-librknnrt": "the image encoder is not taken: librknnrt.so is older than its model",
    "encoder-fails": "the image encoder gives None",
    "no-attributes": "RKNNLite does not tell what size of picture the image encoder takes",
    "death": "the process dies at the fourth token of a reply",
}


def write_model(
    path: Path,
    *,
    name: str = "simulated",
    soc: str = "",
    toolkit: str = "1.1.4",
    context_limit: int = 4096,
    width: int = 8,
    reuse: bool = True,
    strip: bool = False,
    system: str = "You are a helpful assistant.",
) -> Path:
    """Writes a simulated .rkllm. ``soc``: the only board that loads it, empty for any; ``toolkit``: the oldest runtime
    that does; ``width``: floats of a row; ``reuse``: whether a prefix in the cache is used again (Qwen3.5: not);
    ``strip``: whether special tokens in a prompt's text are dropped."""
    values = {
        "name": name,
        "soc": soc,
        "toolkit": toolkit,
        "context_limit": context_limit,
        "width": width,
        "reuse": int(reuse),
        "strip": int(strip),
        "system": system,
    }
    path.write_text("RKLLM-SIM 1\n" + "".join(f"{key}={value}\n" for key, value in values.items()) + "end\n")
    return path


def write_encoder(
    path: Path, *, size: int = 448, tokens: int = 196, width: int = 2048, outputs: int = 1, soc: str = ""
) -> Path:
    """Writes a simulated .rknn: pictures of ``size`` pixels square become ``outputs`` times [1, tokens, width]."""
    values = {"size": size, "tokens": tokens, "width": width, "outputs": outputs, "soc": soc}
    path.write_text("RKNN-SIM 1\n" + "".join(f"{key}={value}\n" for key, value in values.items()) + "end\n")
    return path
