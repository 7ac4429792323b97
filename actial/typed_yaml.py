"""YAML read into frozen dataclasses: every key must be there, be known, have its field's type and keep its limits."""

from __future__ import annotations

import difflib
import types
import typing
from dataclasses import field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from actial.errors import UserError

Typed = TypeVar("Typed")


def setting(doc: str, *, ge: float | None = None, le: float | None = None, gt: float | None = None, choices: tuple[Any, ...] = ()) -> Any:
    """A field with its sentence and its limits (each element's, for lists and maps)."""
    return field(metadata={"doc": doc, "ge": ge, "le": le, "gt": gt, "choices": choices})


def load_typed(kind: type[Typed], path: str | Path, defaults: dict[str, Any] | None = None) -> Typed:
    """A dataclass whose fields are `setting`s, from a YAML file; what the file leaves out is taken from `defaults`.

    Raises:
        UserError: the file is missing, is not YAML, or a key is unknown, missing, of a wrong type or out of range.
    """
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist: run from the project's folder, or copy a profile with `actial use tiny`") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {error}") from None
    data = {} if data is None else data
    return typing.cast(Typed, parse_typed(kind, {**(defaults or {}), **data} if isinstance(data, dict) else data, "", str(path)))


def parse_typed(kind: Any, value: Any, key: str, where: str) -> Any:
    """`value` as `kind`; `key` is its dotted name and `where` the file, for the message."""
    if is_dataclass(kind):
        return _parse_section(kind, value, key, where)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else parse_typed(next(a for a in args if a is not type(None)), value, key, where)
    if origin is tuple:
        if not isinstance(value, list) or (args[-1] is not ... and len(value) != len(args)):
            length = "" if args[-1] is ... else f" of {len(args)} values"
            raise UserError(f"{where}: {key} must be a list{length}, not {value!r}")
        element_kinds = [args[0]] * len(value) if args[-1] is ... else list(args)
        return tuple(parse_typed(k, v, f"{key}[{i}]", where) for i, (k, v) in enumerate(zip(element_kinds, value, strict=True)))
    if origin is dict:
        if not isinstance(value, dict):
            raise UserError(f"{where}: {key} must be a map of names to values, not {value!r}")
        return {str(k): parse_typed(args[1], v, f"{key}.{k}", where) for k, v in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        hint = " (YAML reads 1e-4 as text: write 1.0e-4)" if kind is float and isinstance(value, str) else ""
        raise UserError(f"{where}: {key} must be {_KIND_NAMES[kind]}, not {value!r}{hint}")
    return value


_KIND_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def _parse_section(kind: Any, value: Any, key: str, where: str) -> Any:
    if not isinstance(value, dict):
        raise UserError(f"{where}: {key or 'the file'} must be a map of keys to values, not {value!r}")
    hints = typing.get_type_hints(kind)
    known = {f.name: f for f in fields(kind)}
    prefix = f"{key}." if key else ""
    for name in value:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.0)
            raise UserError(f"{where}: unknown key {prefix}{name}; the nearest valid one is {prefix}{near[0]}")
    parsed = {}
    for name, f in known.items():
        if name not in value:
            raise UserError(f"{where}: key {prefix}{name} is missing; it says: {f.metadata.get('doc', '')}")
        parsed[name] = parse_typed(hints[name], value[name], prefix + name, where)
        _check_limits(parsed[name], f.metadata, prefix + name, where)
    try:
        return kind(**parsed)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None


def _check_limits(value: Any, limits: Any, key: str, where: str) -> None:
    if isinstance(value, dict):
        for k, v in value.items():
            _check_limits(v, limits, f"{key}.{k}", where)
    elif isinstance(value, tuple):
        for i, v in enumerate(value):
            _check_limits(v, limits, f"{key}[{i}]", where)
    elif value is not None:
        if limits.get("choices") and value not in limits["choices"]:
            raise UserError(f"{where}: {key} is {value!r}; it must be one of {', '.join(map(str, limits['choices']))}")
        for name, sign, bad in (
            ("ge", "at least", lambda v, limit: not v >= limit),
            ("gt", "above", lambda v, limit: not v > limit),
            ("le", "at most", lambda v, limit: not v <= limit),
        ):
            limit = limits.get(name)
            if limit is not None and bad(value, limit):
                raise UserError(f"{where}: {key} is {value}; it must be {sign} {limit}")
