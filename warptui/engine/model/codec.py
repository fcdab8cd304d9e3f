"""Records as JSON values and back, by the annotations of their fields.

Dataclasses, enums, tuples, lists, mappings, unions with None, and pydantic models. How a type is
encoded and decoded is worked out once. The app decodes the engine's records at its start, and
importing pydantic takes 0.2 s: it is loaded only where a type is a pydantic model.
"""

from __future__ import annotations

import collections.abc
import importlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
Convert = Callable[[Any], Any]
SHOWN = 80  # characters of a value in a message


class DecodeError(ValueError):
    """A value that is not of the type that was expected; ``where`` names its place."""

    def __init__(self, expected: str, found: object, where: str = "") -> None:
        self.expected, self.found, self.where = expected, found, where
        shown = repr(found)
        shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
        place = f"{where}: " if where else ""
        super().__init__(f"{place}expected {expected}, found {shown}")

    def inside(self, where: str) -> DecodeError:
        """The same problem as seen from the record that holds the value."""
        joined = f"{where}.{self.where}" if self.where else where
        return DecodeError(self.expected, self.found, joined)


@dataclass(frozen=True)
class Codec:
    """How values of one type become JSON values and are made from them."""

    expected: str  # what is accepted, in words
    encode: Convert | None = None  # None: the value is a JSON value already
    decode: Convert | None = None  # None: any JSON value is accepted


def encode(value: Any, kind: Any = None) -> Any:
    """A value as JSON values, which may share lists and mappings with it.

    Parameters
    ----------
    kind
        The type by which it is encoded; the value's own where it is left out.
    """
    convert = codec_of(type(value) if kind is None else kind).encode
    return value if convert is None else convert(value)


def decode(kind: type[T] | Any, value: Any) -> T:
    """The inverse of `encode`. Unknown keys of a record are ignored, absent ones get defaults.

    Raises
    ------
    DecodeError
        When the value does not fit the type; it names the field, what was found and expected.
    """
    convert = codec_of(kind).decode
    return value if convert is None else convert(value)


@cache
def codec_of(kind: Any) -> Codec:
    """The codec of a type, made on first use.

    Raises
    ------
    TypeError
        When values of the type cannot be sent.
    """
    if kind in _BY_HAND:
        module, encoder, decoder, words = _BY_HAND[kind]
        return Codec(words, _late(module, encoder), _late(module, decoder))
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _union_codec(arguments)
    if origin is typing.Literal:
        return _literal_codec(arguments)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return _fixed_tuple_codec(arguments)
    if origin in _SEQUENCES:
        return _sequence_codec(_SEQUENCES[origin], arguments[0])
    if origin in (dict, collections.abc.Mapping):
        return _mapping_codec(arguments[1])
    if isinstance(kind, type):
        if issubclass(kind, Enum):
            return _enum_codec(kind)
        if is_dataclass(kind):
            return _record_codec(kind)
        if hasattr(kind, "model_validate"):
            return _model_codec(kind)
    raise TypeError(f"{kind!r} cannot be sent: no codec is known for it")


def _checked(expected: str, *kinds: type) -> Codec:
    def decode_plain(value: Any) -> Any:
        if type(value) not in kinds:
            raise DecodeError(expected, value)
        return value

    return Codec(expected, None, decode_plain)


_PLAIN: dict[Any, Codec] = {
    Any: Codec("a value"),
    object: Codec("a value"),
    type(None): _checked("nothing", type(None)),
    str: _checked("a text", str),
    bool: _checked("true or false", bool),
    int: _checked("a whole number", int),
    float: _checked("a number", float, int),
    dict: _checked("a mapping", dict),
    list: _checked("a list", list),
}
_SEQUENCES = {list: list, tuple: tuple, collections.abc.Sequence: list}
# Types whose codec is in a module of its own: (module, encoder, decoder, words), by type.
_BY_HAND: dict[Any, tuple[str, str, str, str]] = {}


def register(kind: Any, module: str, encoder: str, decoder: str, words: str) -> None:
    """Have values of a type encoded by functions of a module, which is imported when needed."""
    _BY_HAND[kind] = (module, encoder, decoder, words)


def _late(module: str, name: str) -> Convert:
    def convert(value: Any) -> Any:
        return getattr(importlib.import_module(module), name)(value)

    return convert


def _record_codec(kind: type) -> Codec:
    """A dataclass is a mapping from the names of its fields to their values."""
    hints = typing.get_type_hints(kind)
    codecs = {entry.name: codec_of(hints[entry.name]) for entry in fields(kind) if entry.init}
    required = {
        entry.name
        for entry in fields(kind)
        if entry.init and entry.default is MISSING and entry.default_factory is MISSING
    }
    encoders = [(name, codec.encode) for name, codec in codecs.items()]
    decoders = [(name, codec.decode, codec.expected) for name, codec in codecs.items()]

    def encode_record(record: Any) -> dict[str, Any]:
        values = vars(record)
        return {
            name: values[name] if convert is None else convert(values[name])
            for name, convert in encoders
        }

    def decode_record(value: Any) -> Any:
        if type(value) is not dict:
            raise DecodeError(f"the fields of {kind.__name__}", value)
        known = {}
        for name, convert, expected in decoders:
            if name in value:
                try:
                    known[name] = value[name] if convert is None else convert(value[name])
                except DecodeError as problem:
                    raise problem.inside(name) from None
            elif name in required:
                raise DecodeError(expected, None, name)
        return kind(**known)

    return Codec(f"the fields of {kind.__name__}", encode_record, decode_record)


def _sequence_codec(make: Callable[..., Any], entry: Any) -> Codec:
    codec = codec_of(entry)
    convert, encode_entry = codec.decode, codec.encode
    expected = f"a list, each entry {codec.expected}"

    def decode_sequence(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise DecodeError(expected, value)
        if convert is None:
            return make(value)
        made = []
        for number, part in enumerate(value):
            try:
                made.append(convert(part))
            except DecodeError as problem:
                raise problem.inside(str(number)) from None
        return make(made)

    def encode_sequence(value: Any) -> list[Any]:
        return list(value) if encode_entry is None else [encode_entry(part) for part in value]

    return Codec(expected, encode_sequence, decode_sequence)


def _fixed_tuple_codec(kinds: Sequence[Any]) -> Codec:
    codecs = [codec_of(kind) for kind in kinds]
    expected = f"a list of {', '.join(codec.expected for codec in codecs)}"

    def decode_tuple(value: Any) -> Any:
        if not isinstance(value, list | tuple) or len(value) != len(codecs):
            raise DecodeError(expected, value)
        return tuple(
            part if codec.decode is None else codec.decode(part)
            for part, codec in zip(value, codecs, strict=True)
        )

    def encode_tuple(value: Any) -> list[Any]:
        return [
            part if codec.encode is None else codec.encode(part)
            for part, codec in zip(value, codecs, strict=True)
        ]

    return Codec(expected, encode_tuple, decode_tuple)


def _mapping_codec(entry: Any) -> Codec:
    codec = codec_of(entry)
    encode_entry, convert = codec.encode, codec.decode
    expected = f"a mapping, each value {codec.expected}"

    def decode_mapping(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise DecodeError(expected, value)
        if convert is None:
            return dict(value)
        made = {}
        for key, part in value.items():
            try:
                made[key] = convert(part)
            except DecodeError as problem:
                raise problem.inside(str(key)) from None
        return made

    def encode_mapping(value: Any) -> dict[str, Any]:
        if encode_entry is None:
            return dict(value)
        return {key: encode_entry(part) for key, part in value.items()}

    return Codec(expected, encode_mapping, decode_mapping)


def _union_codec(kinds: Sequence[Any]) -> Codec:
    """Of a type and None; other unions would have to be distinguished by their values."""
    others = [kind for kind in kinds if kind is not type(None)]
    if len(others) != 1 or len(kinds) != 2:
        raise TypeError(f"only unions of one type with None can be sent, not {kinds!r}")
    codec = codec_of(others[0])
    encode_other, convert = codec.encode, codec.decode

    def decode_optional(value: Any) -> Any:
        return value if value is None or convert is None else convert(value)

    def encode_optional(value: Any) -> Any:
        return None if value is None or encode_other is None else encode_other(value)

    encoder = None if encode_other is None else encode_optional
    return Codec(f"{codec.expected} or nothing", encoder, decode_optional)


def _literal_codec(values: Sequence[Any]) -> Codec:
    expected = f"one of {', '.join(map(repr, values))}"

    def decode_literal(value: Any) -> Any:
        if value not in values:
            raise DecodeError(expected, value)
        return value

    return Codec(expected, None, decode_literal)


def _enum_codec(kind: type[Enum]) -> Codec:
    members = {member.value: member for member in kind}
    expected = f"one of {', '.join(map(str, members))}"

    def decode_enum(value: Any) -> Any:
        if not isinstance(value, str | int) or value not in members:
            raise DecodeError(expected, value)
        return members[value]

    def encode_enum(value: Any) -> Any:
        return value.value

    # members of a StrEnum are texts
    return Codec(expected, None if issubclass(kind, str) else encode_enum, decode_enum)


def _model_codec(kind: Any) -> Codec:
    """A pydantic model checks itself."""
    from pydantic import ValidationError

    def decode_model(value: Any) -> Any:
        try:
            return kind.model_validate(value)
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise DecodeError(f"another value ({first['msg']})", first["input"], where) from None

    def encode_model(value: Any) -> Any:
        return value.model_dump(mode="json")

    return Codec(f"the fields of {kind.__name__}", encode_model, decode_model)
