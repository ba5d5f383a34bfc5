"""A piper voice of medium quality with random weights: a VITS graph like en_US-lessac-medium's, 63 MB.

Like the published ones: text encoder (6 layers, 192 wide), duration predictor's convolutions, flow (4 couplings of
4 layers) and HiFi-GAN generator (8 x 8 x 4 samples a frame) with their channels, kernels and dilations, thus their
parameters and arithmetic. Not like them: attention without relative positions, the duration predictor without its
splines, and every sound lasts FRAMES frames, so that a clause is as long as speech is. It sounds like noise.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

from . import Numbers
from .graph import FLOAT, INT64, MICROSOFT, Graph

FRAMES = 3.3  # of 256 samples for each id; between two sounds piper puts a filler id
SYMBOLS, RATE = 256, 22050


class Size(NamedTuple):
    width: int = 192
    inner: int = 768
    layers: int = 6
    heads: int = 2
    couplings: int = 4
    channels: int = 256  # where the generator begins
    kernels: tuple[int, ...] = (3, 5, 7)


MEDIUM = Size()
QUICK = Size(32, 64, 1, 2, 1, 32, (3,))  # for tests
STRIDES, DILATIONS = ((8, 16), (8, 16), (4, 8)), ((1, 2), (2, 6), (3, 12))


def make(path: Path, size: Size = MEDIUM) -> None:
    """Write the voice ``path`` (.onnx) and its .onnx.json; the weights lie beside it in .onnx_data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with Graph(path, Numbers()) as g:
        voice = _Voice(g, size)
        scales = [g("Gather", "scales", g.ints(index)) for index in range(3)]  # noise, length, noise of the rhythm
        hidden = voice.encoder()
        durations = voice.durations(hidden, scales[1], scales[2])
        latent = voice.spread(voice.conv("stats", hidden, size.width, 2 * size.width), durations, scales[0])
        g("Unsqueeze", voice.generator(voice.flow(latent)), g.ints(1), out="output")
        inputs = {"input": (INT64, ["batch", "ids"]), "input_lengths": (INT64, ["batch"]), "scales": (FLOAT, [3])}
        g.save(inputs, {"output": (FLOAT, ["batch", 1, 1, "samples"])})
    settings = {
        "audio": {"sample_rate": RATE, "quality": "medium"},
        "espeak": {"voice": "en-us"},
        "phoneme_type": "espeak",
        "num_symbols": SYMBOLS,
        "num_speakers": 1,
        "inference": {"noise_scale": 0.667, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_id_map": DEFAULT_PHONEME_ID_MAP,
        "speaker_id_map": {},
    }
    path.with_name(f"{path.name}.json").write_text(json.dumps(settings))


class _Voice:
    """The parts of the graph. Hidden values are [batch, channels, ids or frames]."""

    def __init__(self, g: Graph, size: Size) -> None:
        self.g, self.size = g, size

    def conv(
        self, name: str, x: str, channels: int, out: int, kernel: int = 1, dilation: int = 1, group: int = 1
    ) -> str:
        fan = channels // group * kernel
        weight = self.g.weight(name, out, channels // group, kernel, scale=fan**-0.5)
        pad, bias = dilation * (kernel - 1) // 2, self.g.constant(np.zeros(out, np.float32))
        return self.g("Conv", x, weight, bias, dilations=[dilation], group=group, pads=[pad, pad])

    def norm(self, x: str, width: int) -> str:
        g = self.g
        ones, zeros = g.constant(np.ones(width, np.float32)), g.constant(np.zeros(width, np.float32))
        last = g("LayerNormalization", g("Transpose", x, perm=[0, 2, 1]), ones, zeros, axis=-1)
        return g("Transpose", last, perm=[0, 2, 1])

    def encoder(self) -> str:
        g, width = self.g, self.size.width
        lengths = g("Mul", g("Cast", g("ReduceMax", "input_lengths", keepdims=0), to=FLOAT), g.number(0.0))
        rows = g("Add", g("Gather", g.weight("symbols", SYMBOLS, width, scale=1.0), "input"), lengths)
        x = g("Transpose", rows, perm=[0, 2, 1])
        for layer in range(self.size.layers):
            x = self.norm(g("Add", x, self.attention(f"encoder{layer}", x)), width)
            inner = g("Relu", self.conv(f"encoder{layer}.up", x, width, self.size.inner, 3))
            x = self.norm(g("Add", x, self.conv(f"encoder{layer}.down", inner, self.size.inner, width, 3)), width)
        return x

    def attention(self, name: str, x: str) -> str:
        g, width, heads = self.g, self.size.width, self.size.heads
        shape = g.ints(0, heads, width // heads, -1)
        q, k, v = (g("Reshape", self.conv(f"{name}.{part}", x, width, width), shape) for part in "qkv")
        scaled = g("Mul", g("Transpose", q, perm=[0, 1, 3, 2]), g.number((width // heads) ** -0.5))
        shares = g("Softmax", g("MatMul", scaled, k), axis=-1)
        mixed = g("MatMul", v, g("Transpose", shares, perm=[0, 1, 3, 2]))
        return self.conv(f"{name}.out", g("Reshape", mixed, g.ints(0, width, -1)), width, width)

    def separable(self, name: str, x: str) -> str:
        """Three dilated depthwise convolutions, each followed by a dense one."""
        g, width = self.g, self.size.width
        for step, dilation in enumerate((1, 3, 9)):
            y = self.conv(f"{name}.{step}.depth", x, width, width, 3, dilation, group=width)
            y = g("Gelu", self.norm(y, width), domain=MICROSOFT)
            y = g("Gelu", self.norm(self.conv(f"{name}.{step}.dense", y, width, width), width), domain=MICROSOFT)
            x = g("Add", x, y)
        return x

    def durations(self, hidden: str, length: str, noise: str) -> str:
        """Frames of each id [ids]: computed from the text as a voice does it, and then always FRAMES."""
        g, width = self.g, self.size.width
        known = self.separable("rhythm", self.conv("rhythm.in", hidden, width, width))
        z = g("Mul", g("RandomNormalLike", g("Slice", hidden, g.ints(0), g.ints(1), g.ints(1))), noise)
        for step in range(3):
            found = g("Add", known, self.conv(f"rhythm{step}.in", z, 1, width))
            found = self.conv(f"rhythm{step}.out", self.separable(f"rhythm{step}", found), width, 29)
            z = g("Add", z, g("ReduceMean", found, axes=[1]))
        frames = g("Add", g("Mul", g("Tanh", z), g.number(0.0)), g.number(FRAMES))
        return g("Reshape", g("Mul", frames, length), g.ints(-1))

    def spread(self, stats: str, durations: str, noise: str) -> str:
        """From one column an id to one a frame, with noise."""
        g = self.g
        ends = g("CumSum", durations, g.constant(np.array(0, np.int64)))
        total = g("Cast", g("Ceil", g("ReduceMax", ends, keepdims=0)), to=FLOAT)
        frames = g("Unsqueeze", g("Range", g.number(0.0), total, g.number(1.0)), g.ints(1))
        passed = g("Cast", g("LessOrEqual", g("Unsqueeze", ends, g.ints(0)), frames), to=INT64)
        last = g("Sub", g("Shape", durations), g.ints(1))
        at = g("Min", g("ReduceSum", passed, g.ints(1), keepdims=0), last)
        names = g.fresh(2)
        mean, spread = g.several("Split", [g("Gather", stats, at, axis=2)], names, axis=1)
        random = g("Mul", g("RandomNormalLike", mean), g("Exp", g("Tanh", spread)))
        return g("Add", mean, g("Mul", random, noise))

    def flow(self, x: str) -> str:
        g, width = self.g, self.size.width
        half = width // 2
        for step in range(self.size.couplings):
            x = g("Slice", x, g.ints(-1), g.ints(-width - 1), g.ints(1), g.ints(-1))  # the channels in reverse
            first, second = g.several("Split", [x], g.fresh(2), axis=1)
            h = self.conv(f"flow{step}.in", first, half, width)
            skipped = ""
            for layer in range(4):
                name = f"flow{step}.{layer}"
                inner = self.conv(f"{name}.in", h, width, 2 * width, 5)
                a, b = g.several("Split", [inner], g.fresh(2), axis=1)
                gated = g("Mul", g("Tanh", a), g("Sigmoid", b))
                added = self.conv(f"{name}.out", gated, width, width if layer == 3 else 2 * width)
                if layer < 3:
                    more, added = g.several("Split", [added], g.fresh(2), axis=1)
                    h = g("Add", h, more)
                skipped = g("Add", skipped, added) if skipped else added
            x = g("Concat", first, g("Sub", second, self.conv(f"flow{step}.post", skipped, width, half)), axis=1)
        return x

    def generator(self, x: str) -> str:
        """Samples [batch, 1, samples] by three steps up, each followed by residual convolutions of several widths."""
        g, channels = self.g, self.size.channels
        x = self.conv("generator.in", x, self.size.width, channels, 7)
        for step, (stride, kernel) in enumerate(STRIDES):
            out, pad = channels // 2, (kernel - stride) // 2
            weight = g.weight(f"generator{step}.up", channels, out, kernel, scale=(channels * kernel / stride) ** -0.5)
            x = g("ConvTranspose", g("LeakyRelu", x, alpha=0.1), weight, strides=[stride], pads=[pad, pad])
            branches = ""
            for width, dilations in zip(self.size.kernels, DILATIONS, strict=False):
                y = x
                for dilation in dilations:
                    name = f"generator{step}.{width}.{dilation}"
                    y = g("Add", y, self.conv(name, g("LeakyRelu", y, alpha=0.1), out, out, width, dilation))
                branches = g("Add", branches, y) if branches else y
            x, channels = g("Mul", branches, g.number(1 / len(self.size.kernels))), out
        return g("Tanh", self.conv("generator.out", g("LeakyRelu", x, alpha=0.01), channels, 1, 7))
