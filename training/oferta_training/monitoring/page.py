"""The page of what was seen: readable in half a minute, everything else below."""

from pathlib import Path
from typing import Final

from oferta_training.monitoring.funnel import STAGES
from oferta_training.monitoring.look import Look
from oferta_training.monitoring.shifts import Shift
from oferta_training.page import render

PLOTS: Final = 12
"""Shifts drawn: the farthest ones; all are in the table."""

_BAR: Final = 14  # pixels of the page, of a bin's two bars with the gap
_NAME: Final = 130
_WIDTH: Final = 300


def page(seen: Look) -> str:
    """The page as HTML."""
    moved = sorted(seen.all_shifts, key=lambda one: (one.level == "steady", -one.psi))
    return render(
        "monitoring.html.j2",
        seen=seen,
        alarms=seen.alarms,
        shifts=moved,
        plots=[(one, bars(one)) for one in moved[:PLOTS]],
        stages=STAGES,
        widest=_widest(seen),
        size=(_WIDTH, _NAME),
    )


def bars(one: Shift) -> list[tuple[str, float, float, int]]:
    """A bin's name, the widths of its two bars, and where it begins, in pixels."""
    most = max(*one.was, *one.now) or 1.0
    room = _WIDTH - _NAME
    return [
        (_short(name), room * was / most, room * now / most, 4 + number * (_BAR + 6))
        for number, (name, was, now) in enumerate(zip(one.bins, one.was, one.now, strict=True))
    ]


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}…"  # noqa: PLR2004 - what `_NAME` has room for


def _widest(seen: Look) -> int:
    volumes = () if seen.inputs is None else seen.inputs.volumes
    return max((one.customers for one in volumes), default=1) or 1


def places(home: Path) -> tuple[Path, Path]:
    """Where the page and the metrics are written."""
    folder = home / "monitoring"
    return folder / "report.html", folder / "metrics.prom"
