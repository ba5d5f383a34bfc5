"""Between what dialogue and vision tell each other of a picture, what is remembered of it, and what the model is shown.

All of it is translation: nothing here decides which picture a turn is about (assistant.core.looking does).
"""

import time

import numpy as np

from assistant.core.conversation import PictureRef
from assistant.core.looking import Sight
from assistant.messages import Embedding, Look, NpuCost, PictureBound, Turn
from pipelines import image, llm


def look(turn: Turn, sight: Sight, max_age_ms: int, until: int) -> Look:
    """What is asked of vision. ``max_age_ms``: of a frame, where frames age; ``until``: ns, when nobody waits."""
    return Look(
        turn=turn,
        camera=sight.camera,
        region=sight.region,
        known=sight.known.identity if sight.known else "",
        known_signature=sight.known.signature if sight.known else b"",
        max_age_ms=max_age_ms if sight.ages else 0,
        until=until,
        anew=sight.anew,
    )


def reference(seen: Embedding) -> PictureRef:
    """What the conversation keeps of a new picture."""
    taken = time.strftime("%H:%M", time.localtime())
    return PictureRef(seen.identity, seen.captured_at, taken, seen.frame_seq, seen.signature, seen.camera, seen.region)


def picture(seen: Embedding, payload: bytes | memoryview) -> llm.Picture:
    """What vision sent, as the model takes it. Raises PictureError for a JPEG that cannot be read."""
    if seen.form == "jpeg":
        return llm.Picture(seen.identity, pixels=image.decode(bytes(payload)))
    rows = np.frombuffer(payload, np.float32).reshape(seen.tokens, seen.width)
    return llm.Picture(seen.identity, rows=rows, grid=seen.grid)


def bound(seen: Embedding, shown: PictureRef, fresh: bool, cost: NpuCost | None) -> PictureBound:
    """The turn of ``seen`` is about the picture ``shown``; ``fresh``: it is new to the conversation; encoding it had
    that ``cost``."""
    return PictureBound(
        turn=seen.turn,
        identity=shown.identity,
        camera=shown.camera,
        frame_seq=shown.frame_seq,
        captured_at=shown.captured_at,
        verified_at=seen.verified_at,
        fresh=fresh,
        region=shown.region,
        npu=cost,
    )


def misfit(able: llm.Capabilities, width: int) -> str:
    """Why vision's rows of that width (0: pictures, -1: not known yet) are not for this model; "" if they are."""
    if able.wants == "text" or width in (-1, able.width):
        return ""
    ours = f"embeddings of width {able.width}" if able.wants == "embeddings" else "pictures, not embeddings"
    return f"the language model takes {ours}, but vision gives width {width}: use files of one model for both"
