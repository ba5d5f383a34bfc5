"""Decoding with our ONNX engine against the reference, Hugging Face transformers on torch, both with equal weights.

Both run on the CPU in fp32 with equally many threads, in turns. With one thread the clock is the CPU's, so that other
processes hardly matter; with more it is the wall's, and on a machine that is not idle torch then loses most of its time
waiting at barriers: that would say nothing about decoding. The reference is not slowed by its own generate(): it is
called token by token with its cache, and greedily.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipelines import llm
from pipelines.llm._decoder import Decoder
from pipelines.modelfolder import ModelFolder

from . import Numbers, smolvlm

Clock = Callable[[], float]  # seconds
LAYERS = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "o": "self_attn.o_proj"}
LAYERS |= {name: f"mlp.{name}_proj" for name in ("gate", "up", "down")}


class Compared(msgspec.Struct, frozen=True):
    ratio: float  # ours by the reference's: the median of the rounds
    threads: int
    ours: float  # tokens a second
    reference: float
    prompt_tokens: int
    difference: float  # the largest between the logits of both after the same prompt, whose own size is about 1


def measure(
    folder: Path, size: smolvlm.Size, threads: int, say: Callable[[str], None], rounds: int = 3, tokens: int = 32
) -> Compared:
    """Makes its fp32 model in ``folder``. Raises ImportError without torch or transformers."""
    import torch

    smolvlm.make(folder, size, "fp32", vision=False)
    torch.set_num_threads(threads)
    reference = _reference(size)
    difference = _difference(folder, reference, size, threads)
    engine = llm.load("onnx", {"model": str(folder), "dtype": "fp32", "threads": threads})
    question = "what is on the table? "
    prompt = engine.count([llm.Message("user", (question * 8,))])
    clock = time.process_time if threads == 1 else time.perf_counter
    ours, theirs = [], []
    for number in range(rounds + 1):
        ours.append(_ours(engine, f"{number:03}{question * 8}"[: len(question) * 8], tokens, clock))
        theirs.append(_theirs(reference, prompt, size.vocabulary, tokens, clock))
        say(f"decoding, round {number}: ours {ours[-1]:.1f}, reference {theirs[-1]:.1f} tokens/s")
    ours, theirs = ours[1:], theirs[1:]  # the first warms up
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    return Compared(ratio, threads, statistics.median(ours), statistics.median(theirs), prompt, difference)


def _reference(size: smolvlm.Size) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.groups,
        head_dim=size.head,
        vocab_size=size.vocabulary,
        max_position_embeddings=size.context,
        rms_norm_eps=smolvlm.EPSILON,
        rope_theta=smolvlm.THETA,
        tie_word_embeddings=False,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config).eval()
    numbers = Numbers()
    embeddings = numbers.draw("embed_tokens", size.vocabulary, size.width, scale=1.0)
    weights = {
        "model.embed_tokens.weight": embeddings,
        "lm_head.weight": numbers.draw("lm_head", size.vocabulary, size.width),
    }
    for name, held in model.state_dict().items():
        parts = name.split(".")
        if name.startswith("model.layers.") and parts[-2].endswith("_proj"):
            ours = next(key for key, theirs in LAYERS.items() if theirs == ".".join(parts[3:5]))
            weights[name] = numbers.draw(f"{parts[2]}.{ours}", *held.shape)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=False)
    return model


def _difference(folder: Path, reference: Any, size: smolvlm.Size, threads: int) -> float:
    """Whether both compute the same: ours in two chunks over its cache, the reference at once."""
    import torch

    ids = np.random.default_rng(1).integers(0, size.vocabulary, 50).tolist()
    decoder = Decoder(ModelFolder(folder), "fp32", threads)
    kv, _ = decoder.run(decoder.rows(ids[:30]), decoder.empty, logits=False)
    _, ours = decoder.run(decoder.rows(ids[30:]), kv)
    with torch.inference_mode():
        theirs = reference(torch.tensor([ids])).logits[0, -1].numpy()
    return float(np.abs(ours - theirs).max())


def _ours(engine: llm.LanguageModel, question: str, tokens: int, clock: Clock) -> float:
    began = made = 0.0
    for event in engine.reply([llm.Message("user", (question,))], llm.Sampling(max_tokens=tokens)):
        if isinstance(event, llm.Prefilled):
            began = clock()
        elif isinstance(event, llm.Ended):
            made = event.completion_tokens
    return made / (clock() - began)


def _theirs(reference: Any, prompt: int, vocabulary: int, tokens: int, clock: Clock) -> float:
    import torch

    ids = torch.randint(0, vocabulary, (1, prompt), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        out = reference(ids, use_cache=True)
        began = clock()
        for _ in range(tokens):
            ids = out.logits[:, -1].argmax(-1, keepdim=True)
            out = reference(ids, past_key_values=out.past_key_values, use_cache=True)
        return tokens / (clock() - began)
