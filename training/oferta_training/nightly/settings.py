"""What a nightly run does: a `nightly.toml`, or a source and defaults."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field

from oferta.errors import SettingsInvalid
from oferta.settings import Settings, parse, read_toml


class NightlySettings(Settings):
    """All of `nightly.toml`; paths in it are relative to its folder."""

    source: Path
    """What `oferta ingest` reads."""

    archive: Path | None = None
    """Live events; not stated: `archive/` of the state folder, where there is one."""

    job: Path | None = None
    policy: Path | None = None
    """The policy that decides on profiles: `oferta publish --policy`."""

    keep: int = Field(default=7, ge=2, le=1000)
    """Datasets kept, one a night: a week to look back on, and to publish older models with."""

    max_rejected: float = Field(default=0.05, ge=0, le=1)
    accept_shrink: bool = False

    when_refused: Literal["stop", "champion"] = "stop"
    """What becomes of a night whose model the gate refuses: nothing, or the champion is published
    over the new data."""

    replicas: int = Field(default=0, ge=0)
    resume_h: float = Field(default=12, gt=0, le=168)
    """A run that was killed, or failed, so long ago at most is gone on with where it stopped."""

    step_h: float = Field(default=8, gt=0, le=168)
    """A step that takes longer is ended: it hangs."""

    def relative_to(self, folder: Path) -> Self:
        """The same with absolute paths, those that were relative under `folder`."""
        given = {name: getattr(self, name) for name in ("source", "archive", "job", "policy")}
        return self.model_copy(
            update={name: (folder / path).absolute() for name, path in given.items() if path}
        )

    def digest(self) -> str:
        """Equal for two runs that were asked for the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


def load_nightly(given: Path, options: Mapping[str, object]) -> NightlySettings:
    """The settings of a `nightly.toml`, or of the source `given` itself; options win.

    A TOML file is a `nightly.toml`. A source's own `source.toml` is named by its folder.

    Raises:
        SettingsInvalid: every unknown key and wrong value.
    """
    values: Mapping[str, object] = {}
    folder = Path()
    if given.suffix == ".toml" and given.is_file():
        values, folder = read_toml(given), given.parent
    else:
        values = {"source": given}
    stated = parse(values, NightlySettings, place=given).relative_to(folder)
    if not stated.source.exists():
        raise SettingsInvalid(given, [f"source: there is no {stated.source}"])
    here = {
        name: value.absolute() if isinstance(value, Path) else value
        for name, value in options.items()
        if value is not None
    }
    return parse({**stated.model_dump(exclude_none=True), **here}, NightlySettings, place=given)
