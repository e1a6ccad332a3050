"""Plots as SVG inside a page: drawn by matplotlib, coloured by the page's style sheet.

Text stays text, colours are the page's variables (so plots follow its light and dark scheme), and
each drawn figure says itself when it is pointed at. Every plot is drawn twice, for wide and for
narrow screens: scaling one drawing would make its text unreadable on a phone.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from typing import Final
from xml.etree import ElementTree as ET

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.figure import Figure

# Stand-ins that no plot would mix by chance; written as the page's variables of these names.
INK: Final = "#010101"
MUTED: Final = "#020202"
RULE: Final = "#030303"
PAPER: Final = "#040404"
BETTER: Final = "#050505"
WORSE: Final = "#060606"
SAME: Final = "#070707"
_VARIABLES: Final[Mapping[str, str]] = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    PAPER: "--paper",
    BETTER: "--better",
    WORSE: "--worse",
    SAME: "--same",
}
BY_VERDICT: Final[Mapping[str | None, str]] = {"better": BETTER, "worse": WORSE, None: INK}
"""A verdict's colour; `no difference` is `SAME`, the baseline is ink."""

_POINTS: Final = 72  # matplotlib's per inch: one is a pixel of the page
_WIDE: Final = 704  # the page's column, 44 rem
_NARROW: Final = 360


@dataclass(slots=True)
class Pen:
    """A figure being drawn.

    Attributes:
        figure: matplotlib's; its height is set by who draws.
        narrow: whether it is for a narrow screen.
        said: name and tooltip of each mark.
    """

    figure: Figure
    narrow: bool
    said: list[tuple[str, str]] = field(default_factory=list)

    def height(self, points: float) -> None:
        """Set the figure's height, in pixels of the page."""
        self.figure.set_figheight(points / _POINTS)

    def lay_out(self) -> None:
        """Give everything its place, so that distances can be asked for."""
        engine = self.figure.get_layout_engine()
        if engine is not None:
            engine.execute(self.figure)

    def mark(self, artists: Iterable[Artist], name: str, said: str) -> None:
        """Drawn figures that say themselves: counted by tests, shown when pointed at."""
        for artist in artists:
            artist.set_gid(f"mark:{len(self.said)}")
            self.said.append((name, said))


def drawn(key: str, title: str, paint: Callable[[Pen], None]) -> Markup:
    """What `paint` draws, as two SVG elements of which the page shows the one that fits.

    The same drawing gives the same bytes, whatever matplotlib's settings on this machine are.
    """
    return Markup("\n").join(_one(key, title, paint, narrow=narrow) for narrow in (False, True))


def _one(key: str, title: str, paint: Callable[[Pen], None], *, narrow: bool) -> Markup:
    layout = "narrow" if narrow else "wide"
    with mpl.rc_context():
        _set_style(salt=f"{key}-{layout}")
        width = (_NARROW if narrow else _WIDE) / _POINTS
        pen = Pen(Figure(figsize=(width, width / 2), dpi=_POINTS, layout="constrained"), narrow)
        paint(pen)
        # Ticks depend on the layout and the layout on their width: saving is the second pass, which
        # settles both.
        pen.lay_out()
        written = StringIO()
        nameless = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        pen.figure.savefig(written, format="svg", metadata=nameless)
    # What is parsed was written two lines above.
    root = ET.fromstring(written.getvalue())  # noqa: S314
    _tidy(root, pen.said, tooltips=not narrow)
    root.set("class", f"for-{layout}")
    root.set("role", "img")
    root.set("aria-label", title)
    # ElementTree escapes all text and all attributes.
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704


def _set_style(*, salt: str) -> None:
    """The style of all plots; `salt` keeps the ids of a page's drawings apart."""
    mpl.rcdefaults()
    mpl.rc("svg", fonttype="none", hashsalt=salt)
    mpl.rc("text", parse_math=False, color=INK)
    mpl.rc("path", simplify=False)
    mpl.rc("font", size=12)
    mpl.rc("figure", facecolor="none")
    mpl.rc("axes", edgecolor=RULE, facecolor="none", linewidth=1)
    mpl.rc("axes", labelcolor=MUTED, labelsize=12, titlecolor=INK, titlesize=12)
    mpl.rc("axes.spines", top=False, right=False)
    mpl.rc("xtick", color=RULE, labelcolor=MUTED, labelsize=11)
    mpl.rc("ytick", color=RULE, labelcolor=MUTED, labelsize=11)


def _tidy(root: ET.Element, said: Sequence[tuple[str, str]], *, tooltips: bool) -> None:
    """From a file of its own to a part of the page. Narrow screens have nothing to point with."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.text = _text(element)
        element.tail = None
        kept = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update({n: v for n in kept if (v := _attribute(n, kept[n]))})
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    links = (element.get(name, "") for element in root.iter() for name in ("href", "clip-path"))
    used = set(re.findall(r"#([\w.-]+)", " ".join(links)))
    for element in root.iter():
        name = element.get("id", "")
        if name.startswith("mark:"):
            _say(element, *said[int(name.removeprefix("mark:"))], tooltip=tooltips)
        if name not in used:
            element.attrib.pop("id", None)
    for parent in list(root.iter()):
        for child in list(parent):
            # matplotlib's style sheet would be the whole page's.
            if child.tag in {"metadata", "style"} or (
                child.tag in {"g", "defs"} and not len(child)
            ):
                parent.remove(child)


def _say(element: ET.Element, name: str, said: str, *, tooltip: bool) -> None:
    element.set("data-mark", name)
    if tooltip:
        title = ET.Element("title")
        title.text = said
        element.insert(0, title)


def _text(element: ET.Element) -> str | None:
    return element.text if element.tag.endswith(("text", "tspan")) else None


def _attribute(name: str, value: str) -> str:
    if name == "transform":
        return "" if value.startswith("rotate(-0 ") else value
    if name in {"d", "x", "y"}:
        # A tenth of a pixel is finer than any screen shows, and halves the page.
        return re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.1f}", value).replace(
            "\n", ""
        )
    if name == "style":
        value = re.sub(r"font-family:[^;]*;? ?", "", value)
        for colour, variable in _VARIABLES.items():
            value = value.replace(colour, f"var({variable})")
    return value
