"""Text to tokens and back (tokenizers, Apache-2.0), with the words that steer a model out of reach of whoever types.

In a rendered prompt the template's own `<|end|>` and one typed by a user look alike. Tokenising template and content
apart would tell them apart, but cuts words and spaces at the seams, so that ids differ from the reference's. Here the
prompt stays one string: inside contents every control word is broken by a mark before the template is rendered; every
control word in the rendered text is then the template's and becomes an alias, a word that nobody can type. Text
without control words goes through unchanged, and its ids are the reference's.
"""

import re
from collections.abc import Sequence
from typing import Any

from pipelines.modelfolder import ModelFolder

# Unicode noncharacters, reserved for a program's own use: removed from contents, so nobody can type them.
MARK, OPEN, CLOSE = "\ufdd0", "\ufdd1", "\ufdd2"
UNFINISHED = "\ufffd"  # what decoding shows for bytes that are not a character yet
RUN = -1  # encode() gives this where image_run stood


class Tokens:
    """The folder's tokenizer.json. ``control`` maps every control word to its id."""

    def __init__(self, folder: ModelFolder) -> None:
        """Raises EngineError for a missing or damaged tokenizer.json; ImportError without tokenizers."""
        import tokenizers

        source = folder.read("tokenizer.json")
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_str(source.decode())
        except Exception as error:  # tokenizers raises plain Exception
            raise folder.error("tokenizer.json", f"is damaged ({error}); download it again") from error
        size = self._tokenizer.get_vocab_size()
        if size > folder.text.vocab_size:
            problem = f"it has {size} tokens, but config.json: text_config.vocab_size is {folder.text.vocab_size}"
            raise folder.error("tokenizer.json", f"{problem}; download both again")
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # beside the marks: a special token in plain text is text
        # An added token of one character, or of spaces, is ordinary text; any other steers the model.
        added = self._tokenizer.get_added_tokens_decoder()
        words = {token.content: token for token in added.values() if len(token.content.strip()) > 1}
        self.control = {token.content: id for id, token in added.items() if token.content in words}
        if folder.config.image_token not in words:
            problem = f"it has no token {folder.config.image_token!r}, which config.json names as image_token"
            raise folder.error("tokenizer.json", f"{problem}; download both again")
        longest_first = sorted(words, key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)))
        self.image_run = f"{OPEN}run{CLOSE}"  # one word for all the tokens of one tile or picture
        image = words[folder.config.image_token]
        aliases = {MARK: (None, None), self.image_run: (RUN, image)}
        aliases |= {self.alias(word): (self.control[word], token) for word, token in words.items()}
        self._real = self._add(tokenizers.AddedToken, aliases)

    def alias(self, word: str) -> str:
        """The word that stands for a control word in text for encode()."""
        return f"{OPEN}{self.control[word]}{CLOSE}"

    def defuse(self, content: str) -> str:
        """Content to render a template with: what looks like a control word in it stays text."""
        clean = content.encode("utf-8", "replace").decode()  # lone surrogates of a broken locale have no tokens
        clean = clean.translate({ord(MARK): None, ord(OPEN): None, ord(CLOSE): None})
        while (broken := self._control.sub(_broken, clean)) != clean:  # again: breaking one may uncover another
            clean = broken
        return clean

    def claim(self, rendered: str) -> str:
        """Rendered text for encode(): the control words in it, now all the template's own, as aliases."""
        return self._control.sub(lambda found: self.alias(found[0]), rendered)

    def encode(self, claimed: str) -> list[int]:
        """Ids of text from claim(); RUN where ``image_run`` stands."""
        real = self._real
        ids = (real.get(id, id) for id in self._tokenizer.encode(claimed, add_special_tokens=False).ids)
        return [id for id in ids if id is not None]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens; UNFINISHED where bytes are no character."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _add(self, token: Any, aliases: dict[str, tuple[int | None, Any]]) -> dict[int, int | None]:
        """Teach the tokenizer words that take up spaces as another token does; their ids, and what each stands for."""
        words = [
            token(word, lstrip=bool(like and like.lstrip), rstrip=bool(like and like.rstrip), normalized=False)
            for word, (_, like) in aliases.items()
        ]
        self._tokenizer.add_tokens(words)
        return {self._tokenizer.token_to_id(word): stands_for for word, (stands_for, _) in aliases.items()}


def _broken(found: re.Match[str]) -> str:
    return found[0][0] + MARK + found[0][1:]


class Stream:
    """Text of a growing row of tokens, complete characters only.

    A token may be a part of a character, and a decoder may render a token differently after another one (a leading
    space); so each piece is what decoding with the new token adds to decoding without it, from a safe place on.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._ids: list[int] = []
        self._start = self._read = 0  # decoding begins at _start; up to _read the text was given out

    def add(self, id: int) -> str:
        """The characters that this token completes; often none."""
        self._ids.append(id)
        before = self._tokens.decode(self._ids[self._start : self._read])
        now = self._tokens.decode(self._ids[self._start :])
        if len(now) <= len(before) or now.endswith(UNFINISHED):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return now[len(before) :]

    def rest(self) -> str:
        """What is left at the end: complete characters that waited behind an incomplete one, which is dropped."""
        before = self._tokens.decode(self._ids[self._start : self._read])
        self._read = len(self._ids)
        return self._tokens.decode(self._ids[self._start :])[len(before) :].rstrip(UNFINISHED)
