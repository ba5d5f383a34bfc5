"""A conversation as cells: what stands at each position of the KV cache, token or row of a picture."""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipelines.engine import EngineError
from pipelines.llm import Message, Picture
from pipelines.llm._thinking import opens
from pipelines.llm._tokens import RUN, Tokens
from pipelines.modelfolder import ModelFolder, runs
from pipelines.modelfolder.template import ChatTemplate

# A token id, or (identity of the picture, row): equal cells are computed alike wherever they stand after equal ones.
Cell = int | tuple[str, int]
Rows = dict[str, NDArray[np.float32]]  # identity -> [tokens, width]
REMEMBERED = 32  # prompts; a token budget counts variants of one conversation again and again


class Prompt(msgspec.Struct, frozen=True, eq=False):
    cells: list[Cell]
    rows: Rows
    opened: bool  # it ends inside a thought
    begun: str | None = None  # what was said of the reply already; None: it is none that goes on
    begun_ids: tuple[int, ...] = ()  # as the tokenizer writes that


class Prompts:
    """Renders and tokenises conversations for one model folder."""

    def __init__(self, folder: ModelFolder, width: int, live_pictures: int) -> None:
        """``width`` is the decoder's. Raises EngineError for a damaged tokenizer or template."""
        self.tokens = Tokens(folder)
        self._template = ChatTemplate(folder)
        self._folder, self._width, self._live = folder, width, live_pictures
        asked = [{"role": "user", "content": [{"type": "text", "text": "?"}]}]
        self._opened = opens(self._template.render(asked, generate=True))
        self._cells: OrderedDict[object, list[Cell]] = OrderedDict()

    def build(self, conversation: Sequence[Message], generate: bool) -> Prompt:
        """The conversation's cells, and the rows of its pictures.

        A last message of the assistant's is a reply that has begun: it stands beside the cells, not in them. Raises
        EngineError for too many pictures, for rows that are missing or of a wrong number or width, and where the
        template refuses the conversation.
        """
        if generate and conversation and conversation[-1].role == "assistant":
            prompt = self.build(conversation[:-1], generate)
            begun = "".join(part for part in conversation[-1].content if isinstance(part, str))
            return msgspec.structs.replace(prompt, begun=begun, begun_ids=self._written(begun))
        pictures = [part for message in conversation for part in message.content if isinstance(part, Picture)]
        if len(pictures) > self._live:
            raise EngineError(f"the prompt holds {len(pictures)} pictures, but live_pictures is {self._live}")
        rows = {picture.identity: self._checked(picture) for picture in pictures}
        cells = self.cells(conversation, generate)
        if not cells:
            raise EngineError(f"the chat template of {self._folder.path} makes nothing of this conversation")
        return Prompt(cells, rows, generate and self._opened)

    def cells(self, conversation: Sequence[Message], generate: bool) -> list[Cell]:
        """The cells alone; pictures need a grid but no rows. The list is shared: not to be changed."""
        if generate and conversation and conversation[-1].role == "assistant":
            begun = "".join(part for part in conversation[-1].content if isinstance(part, str))
            return self.cells(conversation[:-1], generate) + list(self._written(begun))
        key = (generate, tuple((message.role, tuple(map(_key, message.content))) for message in conversation))
        found = self._cells.get(key)
        if found is None:
            found = self._cells[key] = self._tokenise(conversation, generate)
            if len(self._cells) > REMEMBERED:
                self._cells.popitem(last=False)
        self._cells.move_to_end(key)
        return found

    def _written(self, begun: str) -> tuple[int, ...]:
        """The beginning of a reply, in the tokens that its own writer may have used."""
        return tuple(self.tokens.encode(self.tokens.defuse(begun)))

    def _tokenise(self, conversation: Sequence[Message], generate: bool) -> list[Cell]:
        messages = [{"role": message.role, "content": self._parts(message)} for message in conversation]
        claimed = self.tokens.claim(self._template.render(messages, generate))
        pictures = [part for message in conversation for part in message.content if isinstance(part, Picture)]
        image = self.tokens.alias(self._folder.config.image_token)
        pieces = claimed.split(image)
        if len(pieces) - 1 != len(pictures):
            raise EngineError(
                f"the chat template of {self._folder.path} makes {len(pieces) - 1} places for {len(pictures)} pictures"
            )
        text = pieces[0]
        for picture, after in zip(pictures, pieces[1:], strict=True):
            text += EXPANSIONS[self._folder.family](self.tokens, picture.grid) + after
        return self._spread(self.tokens.encode(text), pictures)

    def _parts(self, message: Message) -> list[dict[str, str]]:
        """The message's content for the template. Adjoining texts are one: a control word must not hide in the seam."""
        parts: list[dict[str, str]] = []
        for part in message.content:
            if isinstance(part, Picture):
                parts.append({"type": "image"})
            elif parts and parts[-1]["type"] == "text":
                parts[-1]["text"] += part
            else:
                parts.append({"type": "text", "text": part})
        defused = [{**part, "text": self.tokens.defuse(part["text"])} if "text" in part else part for part in parts]
        return defused or [{"type": "text", "text": ""}]  # templates look at the first part

    def _spread(self, ids: list[int], pictures: list[Picture]) -> list[Cell]:
        """Ids with every RUN spread to the rows of the pictures in their order."""
        length, family = self._folder.image_seq_len, self._folder.family
        shown = iter([(picture.identity, run) for picture in pictures for run in range(runs(family, picture.grid))])
        cells: list[Cell] = []
        for id in ids:
            if id == RUN:
                identity, run = next(shown)
                cells.extend((identity, run * length + row) for row in range(length))
            else:
                cells.append(id)
        return cells

    def _checked(self, picture: Picture) -> NDArray[np.float32]:
        rows = picture.rows
        if rows is None or rows.ndim != 2:
            raise EngineError(f"the picture {picture.identity!r} comes without embedding rows, which this engine wants")
        if rows.shape[1] != self._width:
            raise EngineError(
                f"the picture's rows are {rows.shape[1]} wide, but the decoder of {self._folder.path} is {self._width} "
                "wide; take vision and llm from the same model folder"
            )
        wanted = runs(self._folder.family, picture.grid) * self._folder.image_seq_len
        if rows.shape[0] != wanted:
            raise EngineError(
                f"the picture has {rows.shape[0]} rows, but a grid of {picture.grid[0]}x{picture.grid[1]} tiles makes "
                f"{wanted}; take vision and llm from the same model folder"
            )
        return rows


def _key(part: str | Picture) -> object:
    return part if isinstance(part, str) else (part.identity, part.grid)


def _tiles(tokens: Tokens, grid: tuple[int, int]) -> str:
    """Idefics3: the tiles row by row, each behind its place, then the whole picture."""
    around, run = tokens.claim("<fake_token_around_image>"), tokens.image_run
    rows, columns = grid
    text = ""
    for row in range(1, rows + 1):
        for column in range(1, columns + 1):
            text += around + tokens.claim(f"<row_{row}_col_{column}>") + run
        text += "\n"
    return text + ("\n" if rows else "") + around + tokens.claim("<global-img>") + run + around


def _single(tokens: Tokens, grid: tuple[int, int]) -> str:
    return tokens.image_run


EXPANSIONS = {"tiles": _tiles, "single": _single}
