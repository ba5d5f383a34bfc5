"""No language model: everything else works, and whoever asks is told why there is no answer."""

from collections.abc import Generator, Sequence
from typing import TypeAlias

from pipelines import engine
from pipelines.llm import Capabilities, Event, Message, NoModel, Prefilled, Sampling


class Options(engine.Options, frozen=True, kw_only=True):
    why: str = "none was chosen"  # in words for the user


class Engine:
    """See ``pipelines.llm.LanguageModel``. Every run raises NoModel."""

    Options: TypeAlias = Options
    capabilities = Capabilities(wants="text", context=1)

    def __init__(self, options: Options) -> None:
        self._why = options.why

    def count(self, conversation: Sequence[Message]) -> int:
        return 0

    def reply(
        self, conversation: Sequence[Message], sampling: Sampling, owner: str = "live"
    ) -> Generator[Event, None, None]:
        raise NoModel(self._why)

    def prefill(self, conversation: Sequence[Message], owner: str = "live") -> Generator[Prefilled, None, None]:
        raise NoModel(self._why)
