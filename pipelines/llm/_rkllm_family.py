"""What the settings leave open of a model, its family knows; what neither says is as most models have it."""

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from pipelines.llm._librkllm_types import Tags
from pipelines.llm._rkllm_plan import Reuse, Template
from pipelines.npu.families import Family, family

if TYPE_CHECKING:
    from pipelines.llm.rkllm import Options

QWEN = Tags("<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
CONTEXT = 4096  # tokens: what most models on the hubs were converted for
PICTURE_TOKENS = 196
TEXT_ONLY = ("rk3562",)  # the vendor has no image encoder for it


class Model(NamedTuple):
    """The model as the engine treats it: see the options of the same names."""

    context: int
    context_limit: int | None
    row_width: int
    picture_tokens: int
    tags: Tags
    template: Template | None
    history: Literal["template", "lines"]
    reuse: Reuse
    quiet: bool  # it is to be told not to think, where the release can


def settle(options: "Options") -> Model:
    """Raises EngineError for an unknown family."""
    known = family(options.family) if options.family else None
    limit = _first(options.context_limit, known.context if known else None)
    return Model(
        context=_first(options.context, min(CONTEXT, limit or CONTEXT)) or CONTEXT,
        context_limit=limit,
        row_width=_first(options.row_width, _row_width(options, known)) or 0,
        picture_tokens=options.picture_tokens or (known.tokens[0] if known and known.tokens else PICTURE_TOKENS),
        tags=options.tags or (Tags(*known.tags) if known else QWEN),
        template=_template(options, known),
        history=options.history or (known.history if known else "lines"),
        reuse=options.reuse or (known.reuse if known else "history"),
        quiet=options.thinking is None and known is not None and known.thinks,
    )


def _first(one: int | None, otherwise: int | None) -> int | None:
    return otherwise if one is None else one


def _row_width(options: "Options", known: Family | None) -> int:
    return known.row_width if known and options.soc not in TEXT_ONLY else 0


def _template(options: "Options", known: Family | None) -> Template | None:
    if options.template == "built in":
        return None
    if options.template is None and known is not None and known.template:
        return msgspec.convert(dict(known.template), Template)
    return options.template
