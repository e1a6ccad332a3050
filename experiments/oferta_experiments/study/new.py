"""A new study: a folder with a study.toml that runs as it is, and says what each line is for."""

import json
import os
import re
from datetime import date
from pathlib import Path
from string import Template

from oferta.errors import SettingsInvalid
from oferta_experiments.study.spec import DEMO, FILE

_TEMPLATE = Template("""\
# A study: one question, answered by comparing variants on the same test customers.
#
#   oferta study run $folder       runs it; killed, the same command goes on where it stopped
#   oferta study report $folder    makes report.html and REPORT.md again

# What you want to know. It stands on top of the report; the figures answer it.
question = "Does anything beat what is popular with everybody?"

# A dataset (of `oferta ingest`) or any folder of source files, relative to this file.
# "demo" is a grocer's real year: it needs `pip install 'oferta[demo]'` and no file of yours.
dataset = $dataset

# The variant that all others are compared with.
baseline = "popular"

# By what customers are told apart in the report: "activity" (how many products they had before),
# "cold" (whether anything was known of them), and any attribute of your customers, as "country".
report_by = ["activity", "cold"]

# Whether settings are searched first, on a part of the training data: never on the test.
search = false

# Whether the best variant and the baseline are also fitted on a ninth and a third of the customers.
learning_curve = false

# How variants are judged: docs/evaluation.md says what each choice means.
[evaluation]
split = "time:28d"        # the last 28 days are the test
k = [5, 10]               # lengths of the lists
metric = "ndcg@10"        # what variants are ordered, searched and compared by
keep_seen = $keep_seen          # true where customers buy the same again, as at a grocer's

[budget]
settings = 10             # how many settings of each variant a search tries
minutes = 10              # for everything

# The variants: a name of your own, a model (popularity, transitions, ease, als, ...), and the
# settings that differ from the model's own.
[[variants]]
name = "popular"
model = "popularity"

[[variants]]
name = "bought together"
model = "ease"
settings = { weights = "as_given" }

# The same model and one thing else: an event counts half after 60 days. What a variant states
# under `weighting` holds for it alone.
[[variants]]
name = "bought together, fading"
model = "ease"
settings = { weights = "as_given" }
weighting = { half_life_days = 60 }
""")


def write_new(name: str, *, into: Path, today: date, data: str | None) -> Path:
    """The folder `<into>/<today>-<name>`, with its study.toml.

    Raises:
        SettingsInvalid: the name has no letter or digit, or the folder is there already.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not slug:
        raise SettingsInvalid("NAME", [f"'{name}': needs a letter or a digit"])
    folder = into / f"{today.isoformat()}-{slug}"
    if (folder / FILE).exists():
        raise SettingsInvalid(folder, ["is there already: choose another name, or change that one"])
    folder.mkdir(parents=True, exist_ok=True)
    text = _TEMPLATE.substitute(
        folder=folder,
        dataset=json.dumps(_seen_from(folder, data), ensure_ascii=False),  # as TOML has it
        keep_seen="true " if data in {None, DEMO} else "false",
    )
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder


def _seen_from(folder: Path, data: str | None) -> str:
    """The path of the data as the study's file must say it."""
    if data is None or data == DEMO or "${" in data:
        return data or DEMO
    place = Path(data).expanduser()
    return str(place) if place.is_absolute() else os.path.relpath(place, folder)
