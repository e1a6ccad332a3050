"""What each step runs, and what it makes of what the command printed."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oferta.events.manifest import MANIFEST, read_manifest
from oferta_training.nightly.settings import NightlySettings
from oferta_training.nightly.state import NIGHTLY, Places, Run, Step

Facts = dict[str, Any]

EXIT: Final[Mapping[Step, int]] = {
    "ingest": 10,
    "train": 11,
    "gate": 12,
    "publish": 13,
    "monitor": 14,
}
"""What `oferta nightly` ends with where this step was not done."""

BUSY: Final = 15
"""What it ends with where another run is at work."""


@dataclass(frozen=True, slots=True)
class Night:
    """One run on its way: what was asked for, and where things lie."""

    settings: NightlySettings
    places: Places
    run: Run

    @property
    def archive(self) -> Path | None:
        """The live events to read, if there are any."""
        own = self.places.home / "archive"
        return self.settings.archive or (own if own.is_dir() else None)

    def words(self, step: Step) -> list[str]:
        """The command of a step, after `oferta`; empty for the gate, which only reads."""
        return _WORDS[step](self)

    def facts(self, step: Step) -> Facts:
        """What an earlier step found out; `?` where a dry run cannot know."""
        found = self.run.step(step)
        return {} if found is None else found.facts


def _ingest(night: Night) -> list[str]:
    settings = night.settings
    words = ["ingest", str(settings.source), "--out", str(night.places.dataset(night.run))]
    words += ["--replace", "--max-rejected", str(settings.max_rejected)]
    words += ["--accept-shrink"] if settings.accept_shrink else []
    words += [] if night.archive is None else ["--archive", str(night.archive)]
    return [*words, "--json"]


def _train(night: Night) -> list[str]:
    words = ["train", str(night.places.dataset(night.run))]
    words += [] if night.settings.job is None else ["--job", str(night.settings.job)]
    return [*words, "--json"]


def _publish(night: Night) -> list[str]:
    """The very version that the gate let through, whatever the alias says by now."""
    version = str(night.facts("train").get("version", "?"))
    gate = night.run.step("gate")
    if gate is not None and gate.facts.get("publish") == "champion":
        version = f"{version.rpartition('/')[0]}@champion"
    words = ["publish", str(night.places.dataset(night.run)), "--model", version]
    words += [] if night.settings.policy is None else ["--policy", str(night.settings.policy)]
    words += ["--replicas", str(night.settings.replicas)] if night.settings.replicas else []
    return [*words, "--json"]


def _monitor(night: Night) -> list[str]:
    words = ["monitor", str(night.places.dataset(night.run))]
    words += [] if night.archive is None else ["--archive", str(night.archive)]
    return [*words, "--json"]


_WORDS: Final[Mapping[Step, Callable[[Night], list[str]]]] = {
    "ingest": _ingest,
    "train": _train,
    "gate": lambda _: [],
    "publish": _publish,
    "monitor": _monitor,
}


def facts_of(step: Step, told: Mapping[str, Any]) -> tuple[Facts, str]:
    """What is kept of a command's JSON, and a line of it for people."""
    if step == "ingest":
        return _of_ingest(told)
    if step == "train":
        facts = {name: told[name] for name in ("version", "alias", "model", "because")}
        return facts, f"{told['version']} by {told['model']}: {told['alias']}"
    if step == "publish":
        manifest = told["manifest"]
        facts = {name: manifest[name] for name in ("release", "model", "customers", "products")}
        return facts, (
            f"release {facts['release']} is live: {facts['customers']:,} customers, "
            f"model {facts['model']}"
        )
    alarms = [str(one) for one in told.get("alarms", ())]
    return {"alarms": alarms}, f"{len(alarms)} alarms" if alarms else "nothing unusual"


def _of_ingest(told: Mapping[str, Any]) -> tuple[Facts, str]:
    tables = told["tables"]
    events = tables["events"]
    facts = {
        "events": events["accepted"],
        "rejected": sum(events["rejected"].values()),
        "customers": tables["customers"]["accepted"],
        "products": tables["products"]["accepted"],
        "unchanged": told["unchanged"],
        "fingerprint": told["fingerprint"],
    }
    said = f"{facts['events']:,} events of {facts['customers']:,} customers"
    said += f", {facts['rejected']:,} rejected" if facts["rejected"] else ""
    return facts, said + (", nothing new" if facts["unchanged"] else "")


def prepare_dataset(places: Places, run: Run) -> None:
    """Make the run's dataset a copy of the last one, by links, for ingest to replace.

    So what guards against half an export has something to compare with.
    """
    target = places.dataset(run)
    shutil.rmtree(target, ignore_errors=True)
    kept = [folder for folder in places.datasets() if folder != target]
    if not kept:
        return
    manifest = read_manifest(kept[0])
    if manifest is None:
        return
    target.mkdir(parents=True)
    shutil.copytree(kept[0] / manifest.data, target / manifest.data, copy_function=_link)
    shutil.copy2(kept[0] / MANIFEST, target / MANIFEST)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)  # a file system without links


def drop_copy(places: Places, run: Run) -> None:
    """Remove what `prepare_dataset` had put there, once ingest has replaced it."""
    target = places.dataset(run)
    manifest = read_manifest(target)
    if manifest is None:
        return
    for folder in target.glob("data-*"):
        if folder.name != manifest.data:
            shutil.rmtree(folder, ignore_errors=True)


def prune(places: Places, *, keep: int, runs: int, beside: frozenset[str]) -> list[str]:
    """Remove older datasets than the newest `keep`, and what older runs printed.

    A dataset named in `beside` stays: the champion may have to be scored on it again.
    """
    old = [one for one in places.datasets()[keep:] if one.name.removeprefix(NIGHTLY) not in beside]
    for folder in old:
        shutil.rmtree(folder, ignore_errors=True)
    printed = sorted((places.folder / "runs").glob("*"), key=lambda path: path.name, reverse=True)
    for folder in printed[runs:]:
        shutil.rmtree(folder, ignore_errors=True)
    return [folder.name for folder in old]
