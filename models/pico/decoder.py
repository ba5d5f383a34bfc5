# mypy: allow-subclassing-any, no-warn-return-any
# torch is not installed where types are checked, so its classes are of no known type there.
"""The language side: a small llama-style decoder whose attention heads each look at one part of the conversation.

Which part a head may see is fixed, and found from marks that ride in the embeddings: this turn, the turn before, the
newest picture, the picture before it, or everything. That the newest picture counts is therefore built in, not learnt.
The cached keys of layer 0 carry the marks, so a key-value cache is all that has to be kept between calls.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.pico import vectors

WIDTH, LAYERS, HEADS, HEAD, HIDDEN = 192, 4, 6, 32, 512
MAX_POSITIONS = 1024
# Marks in the last channels of an embedding: a turn starts here, a picture starts here, this is part of a picture.
MARKS, MARK = 3, 0.3
THIS_TURN, TURN_BEFORE, PICTURE, PICTURE_BEFORE, ALL = range(5)
LOOKS = (
    (THIS_TURN, THIS_TURN, THIS_TURN, PICTURE, TURN_BEFORE, ALL),
    (THIS_TURN, THIS_TURN, PICTURE, PICTURE_BEFORE, TURN_BEFORE, ALL),
    (THIS_TURN, PICTURE, PICTURE, PICTURE_BEFORE, TURN_BEFORE, ALL),
    (THIS_TURN, PICTURE, PICTURE, PICTURE_BEFORE, TURN_BEFORE, ALL),
)
FORBIDDEN = -1e4
LENGTH = 1.5  # of each feature of a picture in its token; about that of a word


def unit(x: Tensor) -> Tensor:
    """The same direction at root mean square 1."""
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class Norm(nn.Module):
    """RMSNorm, spelt out so that it exports to plain operators."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return unit(x) * self.weight


def rotary(position_ids: Tensor) -> tuple[Tensor, Tensor]:
    """position_ids [b, s] -> cosine and sine [b, 1, s, HEAD]."""
    rates = 1.0 / (10000.0 ** (torch.arange(0, HEAD, 2).float() / HEAD))
    angles = position_ids.float()[:, None, :, None] * rates
    both = torch.cat((angles, angles), -1)
    return both.cos(), both.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x[..., : HEAD // 2], x[..., HEAD // 2 :]
    return x * cos + torch.cat((-b, a), -1) * sin


def sights(marks: Tensor, attention_mask: Tensor, length: int) -> Tensor:
    """What each of the last `length` positions may see, for each kind of look: 0 or FORBIDDEN, [b, 5, length, total].

    `marks` [b, total, MARKS] and `attention_mask` [b, total] cover the cache and the new positions.
    """
    on = (marks > MARK / 2).float()
    turn, picture = on[..., 0].cumsum(1), on[..., 1].cumsum(1)
    places = torch.cumsum(torch.ones_like(turn), 1)
    gap = places[:, -length:, None] - places[:, None, :]
    live = attention_mask[:, None, :] > 0
    before = (gap >= 0) & live
    turns = turn[:, -length:, None] - turn[:, None, :]
    pictures = picture[:, -length:, None] - picture[:, None, :] + 100 * (on[:, None, :, 2] < 0.5).float()
    own = gap == 0
    seen = torch.stack(
        (
            before & (turns < 0.5),
            (before & (turns > 0.5) & (turns < 1.5)) | own,
            (before & (pictures < 0.5)) | own,
            (before & (pictures > 0.5) & (pictures < 1.5)) | own,
            before,
        ),
        1,
    )
    return (1.0 - seen.float()) * FORBIDDEN


class Layer(nn.Module):
    def __init__(self, looks: tuple[int, ...], first: bool) -> None:
        super().__init__()
        self.looks, self.first = list(looks), first
        # What a picture holds is found by its content: where it was shown, many turns ago or just now, must not matter.
        placed = torch.tensor([float(look not in (PICTURE, PICTURE_BEFORE)) for look in looks]).view(HEADS, 1, 1)
        self.register_buffer("placed", placed, persistent=False)
        self.norm1, self.norm2 = Norm(WIDTH), Norm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * HEADS * HEAD, bias=False)
        self.out = nn.Linear(HEADS * HEAD, WIDTH, bias=False)
        self.gate_up = nn.Linear(WIDTH, 2 * HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, WIDTH, bias=False)
        for linear in (self.qkv, self.gate_up):
            nn.init.normal_(linear.weight, std=0.8 / WIDTH**0.5)
        nn.init.normal_(self.out.weight, std=0.15 / WIDTH**0.5)
        nn.init.normal_(self.down.weight, std=0.15 / HIDDEN**0.5)
        # Queries and keys have one length, so that no head can stare at one token before it knows what to look for.
        self.sharpness = nn.Parameter(torch.full((HEADS, 1, 1), 1.2))

    def keys(
        self, x: Tensor, turn: tuple[Tensor, Tensor], marks: Tensor, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of the new positions, keys and values of all, each [b, HEADS, s or total, HEAD]."""
        batch, length, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, HEADS, HEAD).permute(2, 0, 3, 1, 4)
        q, k = unit(q) * self.sharpness.exp(), unit(k)
        cos, sin = turn
        cos, sin = (cos * self.placed + 1 - self.placed).to(q.dtype), (sin * self.placed).to(q.dtype)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if self.first:
            # The last channels of head 0 are given up to the marks: kept in keys, never asked for by queries.
            keep = torch.ones(HEADS, 1, HEAD)
            keep[0, :, -MARKS:] = 0
            q, k = q * keep, k * keep + F.pad(marks[:, None], (HEAD - MARKS, 0, 0, 0, 0, HEADS - 1))
        if past is not None:
            k, v = torch.cat((past[0], k), 2), torch.cat((past[1], v), 2)
        return q, k, v

    def rest(self, x: Tensor, attended: Tensor, wanted: Tensor | None = None) -> Tensor:
        """What follows attention; with `wanted` [b, s] only for those positions, [n, WIDTH]."""
        batch, length, _ = x.shape
        heads = attended.transpose(1, 2).reshape(batch, length, HEADS * HEAD)
        if wanted is not None:
            x, heads = x[wanted], heads[wanted]
        x = x + self.out(heads)
        gate, up = self.gate_up(self.norm2(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Decoder(nn.Module):
    """Embeddings [b, s, WIDTH] -> hidden states; the token embedding doubles as the output layer."""

    def __init__(self, vocabulary: int, user_token: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, WIDTH)
        nn.init.normal_(self.embedding.weight, std=0.06)
        marks = torch.zeros(vocabulary, WIDTH)
        marks[user_token, -MARKS] = MARK
        open_channels = torch.ones(WIDTH)
        open_channels[-MARKS:] = 0
        self.register_buffer("marks", marks, persistent=False)
        self.register_buffer("open", open_channels, persistent=False)
        self.layers = nn.ModuleList(Layer(looks, index == 0) for index, looks in enumerate(LOOKS))
        self.norm = Norm(WIDTH)

    def table(self) -> Tensor:
        """The embedding rows [vocabulary, WIDTH] with their marks."""
        return self.embedding.weight * self.open + self.marks

    def hidden(self, embeds: Tensor, position_ids: Tensor, attention_mask: Tensor, wanted: Tensor) -> Tensor:
        """Without a cache, for training: [b, s, WIDTH] -> [n, WIDTH] for the n positions that are `wanted` [b, s]."""
        marks = embeds[..., -MARKS:]
        sight = sights(marks, attention_mask, embeds.shape[1])
        turn = rotary(position_ids)
        bias: dict[tuple[int, ...], Tensor] = {}
        x = embeds
        last = self.layers[-1]
        for layer in self.layers:
            looks = tuple(layer.looks)
            if looks not in bias:
                bias[looks] = sight[:, layer.looks]
            q, k, v = layer.keys(x, turn, marks, None)
            with torch.autocast("cpu", enabled=False):  # its half-width kernel is many times slower on a CPU
                attended = F.scaled_dot_product_attention(q.float(), k.float(), v.float(), attn_mask=bias[looks])
            x = layer.rest(x, attended, wanted if layer is last else None)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        return hidden @ (self.embedding.weight * self.open).T

    def step(
        self, embeds: Tensor, attention_mask: Tensor, position_ids: Tensor, past: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """With a cache, for export: logits [b, s, vocabulary] and every layer's keys and values."""
        marks, turn = embeds[..., -MARKS:], rotary(position_ids)
        x, present = embeds, []
        sight: Tensor | None = None
        for layer, old in zip(self.layers, past, strict=True):
            q, k, v = layer.keys(x, turn, marks, old)
            if sight is None:
                sight = sights(k[:, 0, :, -MARKS:], attention_mask, embeds.shape[1])
            scores = q @ k.transpose(2, 3) / HEAD**0.5 + torch.stack([sight[:, look] for look in layer.looks], 1)
            x = layer.rest(x, torch.softmax(scores, -1) @ v)
            present.append((k, v))
        return self.logits(self.norm(x)), present


class Projector(nn.Module):
    """Features [.., ROWS, FEATURES] -> image tokens [.., ROWS, WIDTH].

    A feature that means a word gets that word's own embedding (English plus Chinese), through a map for each place in
    which it stands (first colour, left neighbour's kind ...), so that what is learnt for one word holds for all.
    """

    PLACES = (
        ("kind", "kind"), ("color1", "color"), ("color2", "color"), ("color3", "color"), ("color4", "color"),
        ("left_kind", "kind"), ("left_color", "color"), ("right_kind", "kind"), ("right_color", "color"),
        ("present", "kind"), ("count", "number"), ("gauge", "number"),
        ("third", "side"), ("lamp", "lamp"),
    )  # fmt: skip

    def __init__(self, words: dict[str, list[list[int]]]) -> None:
        super().__init__()
        self.words = {name: torch.tensor(ids) for name, ids in words.items()}
        self.free = nn.Parameter(torch.randn(vectors.FEATURES, WIDTH) * 0.03)
        maps = torch.stack(
            [torch.eye(WIDTH), *(nn.init.orthogonal_(torch.empty(WIDTH, WIDTH)) for _ in self.PLACES[1:])]
        )
        self.maps = nn.Parameter(maps)

    def matrix(self, embedding: Tensor) -> Tensor:
        """The whole map [FEATURES, WIDTH], as it goes into the exported vision encoder."""
        total = self.free
        for (block, name), turned in zip(self.PLACES, self.maps, strict=True):
            span = vectors.BLOCKS[block]
            ids = self.words[name][: span.stop - span.start]
            rows = embedding[ids].sum(1) @ turned
            total = total + F.pad(rows, (0, 0, span.start, vectors.FEATURES - span.start - len(rows)))
        # Left alone, some features grow ten times as long as others and drown them: all are kept at one length.
        spans = vectors.BLOCKS.values()
        centred = [total[span] - total[span].mean(0) * (span.stop - span.start > 1) for span in spans]
        return LENGTH * F.normalize(torch.cat(centred), dim=1)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        return self.mark(features @ self.matrix(embedding))

    def mark(self, tokens: Tensor) -> Tensor:
        """Put the marks of a picture into image tokens [.., ROWS, WIDTH]."""
        marks = torch.zeros(vectors.ROWS, WIDTH)
        marks[:, -1] = MARK
        marks[0, -2] = MARK
        shut = torch.ones(WIDTH)
        shut[-MARKS:] = 0
        return tokens * shut + marks
