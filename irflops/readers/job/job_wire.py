"""The binary form of a job: read by the protobuf library, with descriptors built from the job's schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError
from google.protobuf.message import Message as Wire

from irflops.errors import GraphSyntaxError
from irflops.readers.job.job_schema import (
    DATA_TYPES,
    PASSED_OVER,
    SECTIONS,
    Field,
    Message,
    Statement,
    fields_of,
    is_whole,
    messages,
    single,
)
from irflops.readers.job.wire_fields import MAX_DEPTH, BrokenAt, wire_fields

_PACKAGE = "irflops.job"
_OPAQUE = "Opaque"
_ENUM = "DataType"
_TYPES = {"string": 12, "int32": 5, "int64": 3, "bool": 8, "float": 2, "double": 1, "enum": 14}
"""Numbers of the field types in descriptor.proto. Strings are read as bytes, for OneFlow does not promise that they are UTF-8."""

_WIRE_TYPES = {"string": 2, "int32": 0, "int64": 0, "bool": 0, "float": 5, "double": 1, "enum": 0}
_IN_C = api_implementation.Type() != "python"
"""Whether the library is the compiled one; the other miscounts bytes once unknown fields were dropped."""
_MESSAGE_TYPE = 11
_OPTIONAL, _REPEATED = 1, 3


@cache
def job_class() -> type[Wire]:
    """The class of a Job's message."""
    file = descriptor_pb2.FileDescriptorProto(name="irflops_job.proto", package=_PACKAGE, syntax="proto2")
    file.message_type.add(name=_OPAQUE)
    enum = file.enum_type.add(name=_ENUM)
    for number, word, _ in DATA_TYPES:
        enum.value.add(name=word, number=number)
    for name, fields in messages().items():
        message = file.message_type.add(name=_flat(name))
        for field in fields.values():
            entry = message.field.add(name=field.name, number=field.number, label=_REPEATED if field.repeated else _OPTIONAL)
            if field.kind in _TYPES:
                entry.type = _TYPES[field.kind]
                if field.kind == "enum":
                    entry.type_name = f".{_PACKAGE}.{_ENUM}"
            else:
                entry.type = _MESSAGE_TYPE
                entry.type_name = f".{_PACKAGE}.{_flat(field.kind) if fields_of(field.kind) is not None else _OPAQUE}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName(f"{_PACKAGE}.Job")
    get_class = getattr(message_factory, "GetMessageClass", None)
    if get_class is None:  # protobuf before 4.22; OneFlow itself asks for one before 4
        get_class = message_factory.MessageFactory(pool).GetPrototype
    found: type[Wire] = get_class(descriptor)
    return found


def _flat(name: str) -> str:
    return name.replace(".", "_")


def job_statements(data: bytes, name: str) -> Iterator[Statement]:
    """The statements of a binary job. Errors: GraphSyntaxError with the byte where it breaks off or contradicts itself."""
    job = job_class()()
    try:
        job.ParseFromString(data)
    except (DecodeError, RuntimeError):
        raise _fault(data, name) from None
    try:
        yield from _statements(job)
    except BrokenAt:  # the library without its C parts lets some of it pass
        raise _fault(data, name) from None


def _statements(job: Wire) -> Iterator[Statement]:
    for descriptor, value in job.ListFields():
        section = descriptor.name
        message = SECTIONS.get(section)
        fields = fields_of(message or "Job") or {}
        if message is None:
            field = fields[section]
            unknown = tuple(name for element in (value if field.repeated else (value,)) for name in _unknown(element, field.kind))
            yield Statement("", section, partial(_converter(field), value), None, unknown)
            continue
        is_whole = not _has_unknown(value)
        for inner, content in value.ListFields():
            field = fields[inner.name]
            if (message, field.name) in PASSED_OVER:
                continue
            convert = _converter(field)
            for element in content if field.repeated else (content,):
                unknown = () if is_whole else _unknown(element, field.kind)
                yield Statement(section, field.name, partial(convert, (element,) if field.repeated else element), None, unknown)
        yield Statement("", "", dict, None, () if is_whole else _unknown(value, message, deep=False))
    yield Statement("", "", dict, None, _unknown(job, "Job", deep=False))


def _has_unknown(wire: Wire) -> bool:
    """Whether a message, or one within, may have fields that no description has: a section is asked once, and most have none."""
    if not _IN_C:
        return True
    known = type(wire)()
    known.CopyFrom(wire)
    known.DiscardUnknownFields()
    return bool(known.ByteSize() != wire.ByteSize())


def _unknown(wire: Wire, message: str, *, deep: bool = True) -> tuple[str, ...]:
    """The fields of a message, and of those within if `deep`, that no description has, by their numbers. They are dropped."""
    data = wire.SerializeToString()
    if _IN_C:
        wire.DiscardUnknownFields()
        if wire.ByteSize() == len(data):
            return ()
    return tuple(f"field {number}" for number in _unknown_numbers(data, message, 0, len(data), deep))


# Plain data of messages

Convert = Callable[[Any], Any]
"""What makes plain data of a field's value."""


@cache
def _converter(field: Field) -> Convert:
    """That of a field: a list if it repeats."""
    one = _CONVERT.get(field.kind) or partial(_message, field.kind)
    return (lambda values: list(map(one, values))) if field.repeated else one


@cache
def _converters(message: str) -> Mapping[int, tuple[str, Convert]]:
    """By number, the names and converters of a message's fields; none of an opaque one."""
    return {field.number: (field.name, _converter(field)) for field in (fields_of(message) or {}).values()}


def _message(message: str, wire: Wire) -> Message:
    """A message as plain data; an opaque one is empty."""
    converters = _converters(message)
    found: Message = {}
    for descriptor, value in wire.ListFields() if converters else ():
        name, convert = converters[descriptor.number]
        found[name] = convert(value)
    return found


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")


_CONVERT: Mapping[str, Convert] = {
    "string": _decoded,
    "int32": int,
    "int64": int,
    "bool": bool,
    "float": single,
    "double": float,
    "enum": int,
}


def _unknown_numbers(data: bytes, message: str, start: int, end: int, deep: bool) -> Iterator[int]:
    """Numbers of fields that no description has, or has of another wire type."""
    by_number = {field.number: field for field in (fields_of(message) or {}).values()}
    for number, wire_type, first, last in wire_fields(data, start, end):
        field = by_number.get(number)
        if field is None or wire_type not in (_WIRE_TYPES.get(field.kind, 2), 2 if field.repeated else -1):
            if is_whole(message):
                yield number
        elif deep and field.kind not in _TYPES:
            yield from _unknown_numbers(data, field.kind, first, last, deep)


def _fault(data: bytes, name: str) -> GraphSyntaxError:
    """The error for bytes that the library refuses: the first place where they break off or contradict themselves."""
    waiting = [("Job", 0, len(data), 1)]
    faults = []
    while waiting:
        message, start, end, depth = waiting.pop()
        by_number = {field.number: field for field in (fields_of(message) or {}).values()}
        if depth > MAX_DEPTH:
            faults.append((start, f"messages nested deeper than {MAX_DEPTH} levels"))
            continue
        try:
            for number, wire_type, first, last in wire_fields(data, start, end):
                field = by_number.get(number)
                if wire_type == 2 and field is not None and field.kind not in _TYPES:
                    waiting.append((field.kind, first, last, depth + 1))
        except BrokenAt as broken:
            faults.append((broken.offset, str(broken)))
    offset, reason = min(faults, default=(len(data), "it contradicts itself"))
    return GraphSyntaxError(
        f"the binary job does not read: at byte {offset} of {len(data)}, {reason}",
        path=name,
        hint="it may be cut off, or copied as text: write it as open(path, 'wb').write(graph._full_graph_proto.SerializeToString())",
    )
