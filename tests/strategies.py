"""Any message: hypothesis strategies out of the types themselves."""

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from assistant.messages import TOPICS, Message

_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    str: st.text(max_size=20),
    bytes: st.binary(max_size=40),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    type(None): st.none(),
}


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that may stand in a message."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    inner = get_args(kind)
    if get_origin(kind) is Literal:
        return st.sampled_from(inner)
    if get_origin(kind) is tuple:
        return st.lists(of(inner[0]), max_size=3).map(tuple) if inner[-1] is ... else st.tuples(*map(of, inner))
    if get_origin(kind) is dict:
        return st.dictionaries(of(inner[0]), of(inner[1]), max_size=3)
    if get_origin(kind) in (UnionType, Union):
        return st.one_of(*map(of, inner))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return st.builds(kind, **{name: of(hint) for name, hint in get_type_hints(kind).items()})
    raise NotImplementedError(f"{kind} in a message: say here how to make one")


messages: st.SearchStrategy[Message] = st.sampled_from(list(TOPICS)).flatmap(of)
