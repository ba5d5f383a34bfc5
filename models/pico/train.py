"""Makes pico from nothing: `python -m models.pico.train --out DIR`. Resumes where it was stopped.

Pictures are drawn, the encoder is trained on them, the decoder on conversations, and the model folder is written. Seeds
are fixed; as the learning rates follow the clock, a faster machine gives a slightly different model.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

# Large blocks are reused instead of handed back to the system: a third of the time went into that otherwise.
MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
SEED = 1
TRAIN_SEED, TRAIN_PICTURES = 1_000_000, 28_000
TEST_SEED, TEST_PICTURES = 900_000_000, 2_000


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train pico from nothing and write its model folder.")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument(
        "--work", type=Path, default=Path(".venv-pico/work"), help="for pictures and checkpoints (2.4 GB)"
    )
    parser.add_argument("--encoder-minutes", type=float, default=8.0)
    parser.add_argument("--decoder-minutes", type=float, default=60.0)
    parser.add_argument("--pictures", type=int, default=TRAIN_PICTURES, help="fewer for a trial; a multiple of 500")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    if not MEMORY.keys() <= os.environ.keys():
        # glibc reads these once, at start.
        os.environ.update(MEMORY, OMP_NUM_THREADS=str(args.threads), OMP_WAIT_POLICY="passive")
        os.execv(sys.executable, [sys.executable, "-m", "models.pico.train", *(argv or sys.argv[1:])])

    import numpy as np
    import torch

    from models.pico import encoder, export, pictures, teach, tokens

    torch.set_num_threads(args.threads)
    started = time.monotonic()
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer = tokens.load(args.work / "tokenizer.json")
    held_out = pictures.build(args.work, TEST_SEED, TEST_PICTURES, args.threads)
    images, rows = pictures.build(args.work, TRAIN_SEED, args.pictures, args.threads)
    drawn = time.monotonic()
    eyes = encoder.train(np.array(images), rows, held_out, args.encoder_minutes, args.work / "encoder.pt", SEED)
    seen = time.monotonic()
    mind, projector = teach.train(tokenizer, args.decoder_minutes, args.work / "decoder.pt", SEED)
    taught = time.monotonic()
    sizes = export.write(eyes, mind, projector, args.work / "tokenizer.json", args.out)
    numbers = [sum(p.numel() for p in module.parameters()) for module in (eyes, mind)]
    print(
        f"done in {(time.monotonic() - started) / 60:.1f} min: pictures {(drawn - started) / 60:.1f}, "
        f"encoder {(seen - drawn) / 60:.1f}, decoder {(taught - seen) / 60:.1f}"
    )
    print(
        f"parameters: encoder {numbers[0]:,}, decoder {numbers[1]:,}; files {sum(sizes.values()) / 1e6:.2f} MB: {sizes}"
    )


if __name__ == "__main__":
    main()
