# mypy: allow-untyped-decorators
# torch is not installed where types are checked, so its classes are of no known type there.
"""Trains the decoder on conversations drawn by lot. It never sees pixels: image tokens come from the truth."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from models.pico import tokens, vectors
from models.pico.decoder import Decoder, Projector
from models.pico.talk import Talk, draw

TOKENS_A_STEP = 2600
POOL = 400  # conversations drawn together and sorted by length, so that little is padding
RATE = 1.3e-3


@dataclass
class Sequence:
    """One conversation as tokens: where answers are learnt, where pictures lie, which answer is of which types."""

    ids: list[int]
    learn: list[bool]  # of each token: whether it is to be predicted
    pictures: list[tuple[int, NDArray[np.float32]]]
    answers: list[tuple[int, int, list[str]]]


class Writer:
    """Turns conversations into tokens exactly as the chat template does."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.known: dict[str, list[int]] = {}
        self.end, self.user = tokens.number(tokenizer, tokens.END), tokens.number(tokenizer, tokens.USER)
        self.assistant, self.image = tokens.number(tokenizer, tokens.ASSISTANT), tokens.number(tokenizer, tokens.IMAGE)

    def encode(self, text: str) -> list[int]:
        if text not in self.known:
            self.known[text] = self.tokenizer.encode(text).ids
        return self.known[text]

    def write(self, talk: Talk) -> Sequence:
        out = Sequence([], [], [], [])

        def put(ids: list[int], learn: bool) -> None:
            out.ids.extend(ids)
            out.learn.extend([learn] * len(ids))

        for turn in talk.turns:
            put([self.user], False)
            if turn.scene is not None:
                out.pictures.append((len(out.ids), vectors.of(turn.scene)))
                put([self.image] * vectors.ROWS, False)
            put([*self.encode(turn.content), self.end, self.assistant], False)
            start = len(out.ids)
            put(self.encode(turn.answer if turn.heard is None else turn.heard), turn.learn)
            put([self.end], turn.learn and turn.heard is None)
            if turn.learn and turn.heard is None:
                out.answers.append((start, len(out.ids), turn.types))
        return out


@dataclass
class Batch:
    """Padded sequences [b, s]; features [pictures, ROWS, FEATURES] and the flat positions of their tokens."""

    ids: Tensor
    mask: Tensor
    learn: Tensor
    features: Tensor
    places: Tensor
    sequences: list[Sequence]


def collate(sequences: list[Sequence]) -> Batch:
    longest = max(len(sequence.ids) for sequence in sequences)
    ids = torch.zeros(len(sequences), longest, dtype=torch.long)
    mask, learn = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    features: list[NDArray[np.float32]] = []
    places: list[int] = []
    for row, sequence in enumerate(sequences):
        length = len(sequence.ids)
        ids[row, :length], mask[row, :length] = torch.tensor(sequence.ids), 1
        learn[row, :length] = torch.tensor(sequence.learn)
        for start, picture in sequence.pictures:
            features.append(picture)
            places.extend(range(row * longest + start, row * longest + start + vectors.ROWS))
    packed = np.stack(features) if features else np.zeros((0, vectors.ROWS, vectors.FEATURES), np.float32)
    return Batch(ids, mask, learn, torch.from_numpy(packed), torch.tensor(places, dtype=torch.long), sequences)


def batches(writer: Writer, rng: random.Random, turns: tuple[int, int]) -> Iterator[Batch]:
    """Endless batches of about TOKENS_A_STEP tokens, each of conversations of like length, in random order."""
    while True:
        pool = sorted((writer.write(draw(rng, turns=turns)) for _ in range(POOL)), key=lambda s: len(s.ids))
        groups: list[list[Sequence]] = [[]]
        for sequence in pool:
            if groups[-1] and (len(groups[-1]) + 1) * len(sequence.ids) > TOKENS_A_STEP:
                groups.append([])
            groups[-1].append(sequence)
        rng.shuffle(groups)
        yield from map(collate, groups)


def predict(model: Decoder, projector: Projector, batch: Batch, wanted: Tensor) -> Tensor:
    """Scores [n, vocabulary] of the token after each of the n positions that are `wanted` [b, s]."""
    table = model.table()
    embeds = F.embedding(batch.ids, table)
    if len(batch.places):
        images = projector(batch.features, model.embedding.weight).flatten(0, 1).to(embeds.dtype)
        flat = embeds.flatten(0, 1).index_copy(0, batch.places, images)
        embeds = flat.view_as(embeds)
    # Conversations start anywhere, so that no position is tied to what is usually there.
    start = int(torch.randint(0, 300, ())) if model.training else 0
    places = start + torch.arange(batch.ids.shape[1])
    return model.logits(model.hidden(embeds, places[None], batch.mask, wanted))


def _ahead(batch: Batch) -> Tensor:
    """The positions [b, s] whose next token is part of an answer."""
    return F.pad(batch.learn[:, 1:], (0, 1))


def loss_of(model: Decoder, projector: Projector, batch: Batch) -> Tensor:
    wanted = batch.ids[:, 1:][batch.learn[:, 1:]]
    return F.cross_entropy(predict(model, projector, batch, _ahead(batch)).float(), wanted)


@torch.no_grad()
def score(model: Decoder, projector: Projector, held_out: list[Batch]) -> dict[str, tuple[float, int]]:
    """Share of wholly right answers (history given) and number, for each type of question."""
    model.eval()
    right: dict[str, list[bool]] = {}
    for batch in held_out:
        ahead = _ahead(batch)
        same = np.zeros(ahead.shape, bool)
        guess = predict(model, projector, batch, ahead).argmax(-1)
        same[ahead.numpy()] = (guess == batch.ids[:, 1:][batch.learn[:, 1:]]).numpy()
        for row, sequence in enumerate(batch.sequences):
            for start, end, types in sequence.answers:
                for name in ("all", *types):
                    right.setdefault(name, []).append(bool(same[row, start - 1 : end - 1].all()))
    model.train()
    return {name: (round(100 * sum(values) / len(values), 1), len(values)) for name, values in sorted(right.items())}


def train(
    tokenizer: Tokenizer, minutes: float, path: Path, seed: int, log: Path | None = None
) -> tuple[Decoder, Projector]:
    """Train from nothing for `minutes` (the learning rate follows the clock); resumes from `path` where that exists."""
    torch.manual_seed(seed)
    writer = Writer(tokenizer)
    model = Decoder(tokenizer.get_vocab_size(), writer.user)
    projector = Projector(tokens.word_ids(tokenizer))
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.02, "times": 1.0},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0, "times": 1.0},
        {"params": [projector.free], "weight_decay": 0.0, "times": 3.0},
        {"params": [projector.maps], "weight_decay": 0.0, "times": 1.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98))
    spent, step = 0.0, 0
    if path.exists():
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved["model"])
        projector.load_state_dict(saved["projector"])
        optimizer.load_state_dict(saved["optimizer"])
        spent, step = saved["spent"], saved["step"]
    test = random.Random(seed + 10_000_019)
    held_out = [collate([writer.write(draw(test, turns=(3, 9))) for _ in range(20)]) for _ in range(15)]
    source = batches(writer, random.Random(seed * 1_000_003 + step), (3, 12))
    last, told, total = time.monotonic(), spent, 0.0
    while spent < minutes * 60:
        share = spent / (minutes * 60)
        rate = RATE * min(1.0, (step + 1) / 150) * (0.5 + 0.5 * math.cos(math.pi * share)) + 1e-5
        for group in optimizer.param_groups:
            group["lr"] = rate * group["times"]
        # Half-width products are half again as fast on processors that have them, and no less exact in the end.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(model, projector, next(source))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*model.parameters(), *projector.parameters()], 1.0)
        optimizer.step()
        step += 1
        total = 0.97 * total + 0.03 * loss.item() if total else loss.item()
        now = time.monotonic()
        spent, last = spent + now - last, now
        if spent - told > 120 or spent >= minutes * 60:
            line = {
                "minutes": round(spent / 60, 1),
                "step": step,
                "loss": round(total, 4),
                **score(model, projector, held_out),
            }
            print("decoder:", json.dumps(line), flush=True)
            state = {
                "model": model.state_dict(), "projector": projector.state_dict(), "optimizer": optimizer.state_dict(),
                "spent": spent, "step": step,
            }  # fmt: skip
            torch.save(state, path.with_suffix(".tmp"))
            path.with_suffix(".tmp").replace(path)
            if log is not None:
                with log.open("a") as out:
                    out.write(json.dumps(line) + "\n")
            told, last = spent, time.monotonic()
    return model.eval(), projector.eval()
