"""The vision encoder of SmolVLM's shape: SigLIP (base, patches of 16 in tiles of 512) and the pixel-shuffle connector.

Plain operators, as exporters write them; onnxruntime fuses what it can. It takes no mask: all pixels count.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import Numbers
from .graph import FLOAT, MICROSOFT, Graph


class Size(NamedTuple):
    edge: int = 512  # pixels of a tile
    patch: int = 16
    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    scale: int = 4  # patches a side that make one token

    @property
    def side(self) -> int:
        """Patches a side."""
        return self.edge // self.patch

    @property
    def tokens(self) -> int:
        """Of a tile."""
        return (self.side // self.scale) ** 2


BASE = Size()
QUICK = Size(64, 16, 32, 1, 2, 64, 2)  # for tests


def make(path: Path, size: Size, rows: int) -> None:
    """Write the graph: tiles to image features ``rows`` wide."""
    with Graph(path, Numbers()) as g:
        tower = _Tower(g, size)
        x = tower.patches()
        for layer in range(size.layers):
            x = g("Add", x, tower.attention(f"vision{layer}", tower.norm(x)))
            x = g("Add", x, tower.inner(f"vision{layer}", tower.norm(x)))
        tower.connector(tower.norm(x), rows)
        tiles = ["batch", "tiles", 3, size.edge, size.edge]
        g.save({"pixel_values": (FLOAT, tiles)}, {"image_features": (FLOAT, ["all", size.tokens, rows])})


class _Tower:
    """Its parts. Hidden values are [tiles, patches, width]."""

    def __init__(self, g: Graph, size: Size) -> None:
        self.g, self.size = g, size

    def dense(self, name: str, x: str, columns: int, rows: int) -> str:
        g = self.g
        product = g("MatMul", x, g.weight(name, columns, rows, scale=columns**-0.5))
        return g("Add", product, g.constant(np.zeros(rows, np.float32)))

    def norm(self, x: str) -> str:
        ones, zeros = (self.g.constant(np.full(self.size.width, value, np.float32)) for value in (1, 0))
        return self.g("LayerNormalization", x, ones, zeros, axis=-1, epsilon=1e-6)

    def patches(self) -> str:
        g, size = self.g, self.size
        flat = g("Reshape", "pixel_values", g.ints(-1, 3, size.edge, size.edge))
        weight = g.weight("patches", size.width, 3, size.patch, size.patch, scale=1 / (size.patch * 3**0.5))
        steps = [size.patch, size.patch]
        cut = g("Reshape", g("Conv", flat, weight, strides=steps), g.ints(0, size.width, -1))
        return g("Add", g("Transpose", cut, perm=[0, 2, 1]), g.weight("places", size.side**2, size.width, scale=0.1))

    def attention(self, name: str, x: str) -> str:
        g, size = self.g, self.size
        head = size.width // size.heads
        shape = g.ints(0, 0, size.heads, head)
        q, k, v = (g("Reshape", self.dense(f"{name}.{part}", x, size.width, size.width), shape) for part in "qkv")
        q, v = g("Transpose", q, perm=[0, 2, 1, 3]), g("Transpose", v, perm=[0, 2, 1, 3])
        scores = g("MatMul", q, g("Transpose", k, perm=[0, 2, 3, 1]))
        mixed = g("MatMul", g("Softmax", g("Mul", scores, g.number(head**-0.5)), axis=-1), v)
        joined = g("Reshape", g("Transpose", mixed, perm=[0, 2, 1, 3]), g.ints(0, 0, size.width))
        return self.dense(f"{name}.o", joined, size.width, size.width)

    def inner(self, name: str, x: str) -> str:
        up = self.g("FastGelu", self.dense(f"{name}.up", x, self.size.width, self.size.inner), domain=MICROSOFT)
        return self.dense(f"{name}.down", up, self.size.inner, self.size.width)

    def connector(self, x: str, rows: int) -> None:
        """``scale`` x ``scale`` patches into one token, and that into a row."""
        g, size = self.g, self.size
        side, scale, width = size.side, size.scale, size.width
        x = g("Reshape", x, g.ints(-1, side, side // scale, width * scale))
        x = g("Transpose", x, perm=[0, 2, 1, 3])
        x = g("Reshape", x, g.ints(-1, side // scale, side // scale, width * scale * scale))
        x = g("Reshape", g("Transpose", x, perm=[0, 2, 1, 3]), g.ints(-1, size.tokens, width * scale * scale))
        wide = width * scale * scale
        g("MatMul", x, g.weight("connector", wide, rows, scale=wide**-0.5), out="image_features")
