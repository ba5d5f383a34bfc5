"""No ear for the end of a turn: the words alone say how long it is waited for more of them."""

from typing import TypeAlias

from pipelines import engine


class Options(engine.Options, frozen=True, kw_only=True):
    pass


class Engine:
    """What ``pipelines.endofturn.load`` gives as None."""

    Options: TypeAlias = Options

    def __init__(self, options: Options) -> None:
        pass
