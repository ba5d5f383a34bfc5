"""The JSON files of a model folder as types: what is read of them, and in which bounds a number is believable.

Unknown keys are ignored: published configurations carry many that only training needs. Bounds are wide; they catch
damage and mistakes (a negative size, a million layers), not taste.
"""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Pixels = Annotated[int, msgspec.Meta(ge=1, le=8192)]
TokenId = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
Level = Annotated[int, msgspec.Meta(ge=0, le=255)]
Share = Annotated[float, msgspec.Meta(ge=-1000.0, le=1000.0)]
Factor = Annotated[float, msgspec.Meta(gt=0.0, le=1000.0)]


class TextConfig(msgspec.Struct, frozen=True):
    """The decoder. A shape that is missing here is read from the graph; one that is given must agree with it."""

    hidden_size: Count
    vocab_size: Count
    max_position_embeddings: Annotated[int, msgspec.Meta(ge=8, le=10_000_000)]
    num_hidden_layers: Count | None = None
    num_attention_heads: Count | None = None
    num_key_value_heads: Count | None = None
    head_dim: Count | None = None
    eos_token_id: TokenId | list[TokenId] | None = None


class VisionConfig(msgspec.Struct, frozen=True):
    image_size: Pixels  # of one tile, square
    patch_size: Pixels | None = None


class Config(msgspec.Struct, frozen=True):
    """config.json"""

    model_type: str
    text_config: TextConfig
    vision_config: VisionConfig
    image_token_id: TokenId
    image_token: str = "<image>"
    eos_token_id: TokenId | list[TokenId] | None = None
    scale_factor: Count = 1


class Size(msgspec.Struct, frozen=True):
    """Either the longest edge, or height and width."""

    longest_edge: Pixels | None = None
    height: Pixels | None = None
    width: Pixels | None = None


class Preprocessor(msgspec.Struct, frozen=True):
    """preprocessor_config.json: from a picture to pixel values."""

    size: Size
    do_resize: bool = True
    resample: Annotated[int, msgspec.Meta(ge=0, le=5)] = 2  # PIL's numbers; see pipelines.image.FILTERS
    do_rescale: bool = True
    rescale_factor: Factor = 1 / 255
    do_normalize: bool = True
    image_mean: tuple[Share, Share, Share] = (0.5, 0.5, 0.5)
    image_std: tuple[Factor, Factor, Factor] = (0.5, 0.5, 0.5)
    do_pad: bool = False  # pico_vlm: keep the aspect ratio and fill what is left with pad_color
    pad_color: tuple[Level, Level, Level] = (0, 0, 0)
    do_image_splitting: bool = True  # idefics3: cut into tiles
    max_image_size: Size = Size()  # idefics3: of one tile


class Processor(msgspec.Struct, frozen=True):
    """processor_config.json"""

    image_seq_len: Annotated[int, msgspec.Meta(ge=1, le=16384)] | None = None


class Generation(msgspec.Struct, frozen=True):
    """generation_config.json"""

    eos_token_id: TokenId | list[TokenId] | None = None


class AddedToken(msgspec.Struct, frozen=True):
    """A special token where tokenizer_config.json spells it out; elsewhere it is only its text."""

    content: str


class TokenizerConfig(msgspec.Struct, frozen=True):
    """tokenizer_config.json: what a chat template may refer to."""

    chat_template: str | list[dict[str, str]] | None = None
    bos_token: str | AddedToken | None = None
    eos_token: str | AddedToken | None = None
    unk_token: str | AddedToken | None = None
    pad_token: str | AddedToken | None = None


class ChatTemplate(msgspec.Struct, frozen=True):
    """chat_template.json"""

    chat_template: str


def ids(value: int | list[int] | None) -> frozenset[int]:
    """One id, several or none, as a set."""
    return frozenset(() if value is None else (value,) if isinstance(value, int) else value)


def word(token: str | AddedToken | None) -> str | None:
    return token.content if isinstance(token, AddedToken) else token
