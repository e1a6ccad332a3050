"""Settings files: TOML parsed to one frozen object, every mistake named at once."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from oferta.errors import SettingsInvalid


class Settings(BaseModel):
    """The shape of all settings: frozen, strict about names, defaults stated once in the type."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


SettingsT = TypeVar("SettingsT", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The file as a plain dictionary.

    Raises:
        SettingsInvalid: no such file, or not TOML; carries line and column.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsInvalid(path, ["no such file"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsInvalid(path, [str(error)]) from None


def load(path: Path, kind: type[SettingsT]) -> SettingsT:
    """The file as `kind`.

    Raises:
        SettingsInvalid: every unknown key (with the nearest known one) and every wrong value.
    """
    return parse(read_toml(path), kind, place=path)


def parse(values: Mapping[str, Any], kind: type[SettingsT], *, place: Path | str) -> SettingsT:
    """`values` as `kind`; `place` says in the error where they came from.

    Raises:
        SettingsInvalid: every unknown key (with the nearest known one) and every wrong value.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = [
            _problem(fault["type"], fault["loc"], fault["msg"], kind)
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise SettingsInvalid(place, problems) from None


def _problem(
    fault: str, location: tuple[int | str, ...], message: str, kind: type[BaseModel]
) -> str:
    where = ".".join(str(part) for part in location)
    message = message.removeprefix("Value error, ")
    if fault != "extra_forbidden":
        return f"{where}: {message}" if where else message
    known = _fields_at(kind, location[:-1])
    near = get_close_matches(str(location[-1]), known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(sorted(known))}"
    return f"{where}: unknown setting; {hint}"


def _fields_at(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        if isinstance(part, int):  # the place in a list of what is stated several times
            continue
        field = kind.model_fields.get(part)
        inner = None if field is None else _settings_in(field.annotation)
        if inner is None:
            return []
        kind = inner
    return list(kind.model_fields)


def _settings_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type, of any form
    """The settings that `T`, `T | None` or `tuple[T, ...]` hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_settings_in(one) for one in get_args(annotation))
    return next((one for one in inner if one is not None), None)
