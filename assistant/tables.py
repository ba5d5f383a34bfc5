"""Tables of settings inside a section: fields that are a Struct, or a dict of them by name."""

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin, get_type_hints

import msgspec


def all_of(settings: msgspec.Struct, dotted: str) -> Iterator[tuple[str, msgspec.Struct]]:
    """A section and every table of settings inside it, each with its dotted key."""
    yield dotted, settings
    for field in settings.__struct_fields__:
        value = getattr(settings, field)
        named = value.items() if isinstance(value, dict) else [("", value)]
        for name, inner in named:
            if isinstance(inner, msgspec.Struct):
                yield from all_of(inner, f"{dotted}.{field}" + (f".{name}" if name else ""))


def inside(kind: type[msgspec.Struct], values: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], type[Any]]]:
    """The tables inside a table: their keys, and of what kind they must be."""
    for field, hint in get_type_hints(kind).items():
        if field not in values:
            continue
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            yield (field,), hint
        elif get_origin(hint) is dict and issubclass(get_args(hint)[1], msgspec.Struct):
            if not isinstance(values[field], dict):
                continue  # what msgspec says of it is enough
            for name in values[field]:
                yield (field, name), get_args(hint)[1]
