"""The figures of ``assistant bench cpu`` as a table for people."""

from collections.abc import Iterator
from typing import Any

ROWS = {  # key in tts_ms and vlm_ms -> what it is
    "clause_first_chunk": "voice, 8 words, first sound",
    "clause_whole": "voice, 8 words, whole",
    "three_clauses_first_chunk": "voice, 24 words, first sound",
    "three_clauses_whole": "voice, 24 words, whole",
    "picture_1_tile": "picture, 1 tile",
    "picture_5_tiles": "picture, 4 tiles and the whole",
    "prefill_per_token": "a token of the prompt",
    "decode_per_token": "a token of the reply",
}
TITLES = {"asr": "Whisper", "tts": "voice", "vlm": "pictures and replies"}


def lines(figures: dict[str, Any]) -> list[str]:
    """One row a figure: ms alone and beside the load; then what was compared, and what is missing and why."""
    machine = figures["machine"]
    made = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['threads']} threads a model, "
        f"load {machine['load_before']} before",
        "",
        f"{'ms':<34}{'alone':>10}{'best':>10}{'beside load':>14}",
    ]
    made += [
        f"{name:<34}{pair['alone']:>10}{pair['best']:>10}{pair['beside_load']:>14}" for name, pair in _pairs(figures)
    ]
    made.append("")
    if figures["decode_ratio"] is not None:
        compared = figures["decode_compared"]
        made.append(
            f"decoding: {figures['decode_ratio']} times the reference's speed "
            f"({compared['ours']} to {compared['reference']} tokens/s, fp32, one thread)"
        )
    made += [f"no {TITLES[part]}: {figures[f'{part}_why']}" for part in TITLES if f"{part}_why" in figures]
    if "decode_ratio_why" in figures:
        made.append(f"no comparison with the reference: {figures['decode_ratio_why']}")
    peaks = ", ".join(f"{name} {peak}" for name, peak in figures["peak_mb"].items())
    return [*made, f"peak memory, MB: {peaks}; {figures['seconds']} s in all"]


def _pairs(figures: dict[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    for size, utterances in (figures["asr_ms"] or {}).items():
        for seconds, pair in utterances.items():
            yield f"Whisper {size}, {seconds} s of speech", pair
    for part in ("tts_ms", "vlm_ms"):
        for key, name in ROWS.items():
            pair = (figures[part] or {}).get(key)
            if pair is not None:
                yield name, pair
