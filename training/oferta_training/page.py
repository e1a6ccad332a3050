"""Pages that open anywhere without a network: their style is in them, they load and run nothing."""

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from oferta.errors import OutputFailed

_MINUTE: Final = 60
_HOUR: Final = 3600


def render(template: str, **values: object) -> str:
    """A template of `pages/`, everything in it escaped but our own style sheet."""
    loader = PackageLoader("oferta_training", "pages")
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": _day,
        "instant": _instant,
        "took": length,
        "count": "{:,}".format,
        "percent": percent,
    }
    style = Markup(loader.get_source(environment, "style.css")[0])  # noqa: S704 - our own
    return environment.get_template(template).render(style=style, **values)


def write_whole(path: Path, text: str) -> Path:
    """Replace the file in one step: who reads it sees the old one or the new one.

    Raises:
        OutputFailed: it cannot be written.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)  # noqa: PTH105 - says better what it does
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputFailed(path, error.strerror or str(error)) from None
    return path


def length(seconds: float) -> str:
    """How long, as 12.3 s, 4 min, 1.5 h."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"


def percent(share: float | None) -> str:
    """A share as 12.3 %; nothing where there is none."""
    return "" if share is None else f"{share:.1%}".replace("%", " %")


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _instant(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
