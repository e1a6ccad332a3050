"""A what-if as one HTML page: nothing is fetched, so it can be mailed and kept."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from oferta.clock import instant
from oferta.decisions.whatif import CHANGES, Group, Share, WhatIf
from oferta.errors import OutputFailed
from oferta_serving.base.numbers import change, percent
from oferta_serving.base.whatif_table import SAID

_COLOURS: Final = {
    "lost": "#b3261e",
    "less": "#e08a3c",
    "same": "#d5d9de",
    "more": "#6fae6f",
    "first": "#1e7b34",
}


def whatif_json(found: WhatIf) -> dict[str, object]:
    """The comparison as plain values, with the shares that bounds are stated on."""
    return {**asdict(found), "losers": found.losers, "value_change": found.value_change}


def write_whatif_page(found: WhatIf, path: Path) -> None:
    """Write the page.

    Raises:
        OutputFailed: it cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("oferta_serving.base", "pages"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"money": lambda value: f"{value:,.0f}", "count": "{:,}".format}
    page = environment.get_template("whatif.html").render(
        found=found,
        day=instant(found.at)[:10],
        said=SAID,
        changes=CHANGES,
        colours=_COLOURS,
        percent=percent,
        change=change,
        groups=[
            ("By segment", found.segments),
            ("By risk tier", found.tiers),
            ("By stage", found.stages),
        ],
        stretch=_stretch,
        widest=_widest(found.families),
        data=json.dumps(whatif_json(found)),
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputFailed(path, str(error)) from None


def _stretch(group: Group) -> list[tuple[str, float]]:
    """The colours of a bar, each with its width in percent."""
    whole = max(group.customers, 1)
    return [
        (_COLOURS[one], 100.0 * group.changes[one] / whole) for one in CHANGES if group.changes[one]
    ]


def _widest(shares: tuple[Share, ...]) -> float:
    return max((max(share.value) for share in shares), default=0.0) or 1.0
