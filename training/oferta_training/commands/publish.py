"""`oferta publish`, `oferta rollback`, `oferta releases`: what is live, and what was before."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from oferta.errors import FencedOut
    from oferta.store.connecting import StoreSettings
    from oferta_training.publish import Published
    from oferta_training.score import Wanted
    from oferta_training.scores import ScoresFolder

FENCED_OUT = 3

Home = Annotated[
    Path | None, typer.Option(help="The state folder. Default: OFERTA_HOME, else .oferta.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def publish(
    dataset: Annotated[
        Path | None,
        typer.Argument(help="Whom to score (default: the data the model was trained on)."),
    ] = None,
    *,
    model: Annotated[
        str | None,
        typer.Option(help="NAME, NAME@ALIAS or NAME/VERSION (default: the only one's champion)."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(help="Publish this scores folder instead of scoring.", metavar="DIR"),
    ] = None,
    profiles: Annotated[
        bool | None,
        typer.Option(
            "--profiles/--no-profiles",
            help="Score and publish customers' profiles, too (default: as the job says).",
        ),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="The policy that will decide on the profiles: its time zone and attributes hold.",
            metavar="FILE",
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            help="The day or instant that profiles describe (default: the end of the data).",
            metavar="INSTANT",
        ),
    ] = None,
    override: Annotated[
        str | None,
        typer.Option(help="Go live over broken guard rails, for this reason.", metavar="REASON"),
    ] = None,
    replicas: Annotated[int, typer.Option(min=0, help="Replicas that must be connected.")] = 0,
    if_missing: Annotated[
        bool,
        typer.Option(
            "--if-missing",
            help="Only where the store has no live release: what was live last, not scored again.",
        ),
    ] = False,
    live: Annotated[
        bool,
        typer.Option(
            "--live/--no-live",
            help="Publish what lets lists follow customers' events (default), or leave it out.",
        ),
    ] = True,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Score everyone with the champion, write a release beside the live one, verify it, swap.

    Stopped at any step, the live release stays whole. Ends with 3 where a later publisher was
    faster.

    Example: oferta publish --model insurance
    """
    import json
    from dataclasses import asdict

    from oferta.errors import FencedOut
    from oferta_training.scores import ScoresFolder

    def ready() -> ScoresFolder:
        if scores is not None:
            return ScoresFolder.open(scores)
        if if_missing and all(one is None for one in (dataset, model, profiles, policy, as_of)):
            found = _last_live(home)
            if found is not None:
                return found
        wanted = _wanted(profiles, policy, as_of)
        return _score(dataset, model, home=home, again=not if_missing, wanted=wanted)

    try:
        done = publish_scores(
            ready,
            settings=_settings(home),
            override=override,
            replicas=replicas,
            only_if_missing=if_missing,
            live=live,
        )
    except FencedOut as error:
        _end_fenced_out(error)
    if done is None:
        typer.echo(json.dumps({"published": None}) if as_json else "A release is live already.")
    elif as_json:
        typer.echo(json.dumps(asdict(done)))
    else:
        typer.echo(summary(done))


def rollback(
    *,
    reason: Annotated[str, typer.Option(help="Why: it goes into the publication log.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make the previous release live again, in under two seconds.

    Example: oferta rollback --reason "the new prices are wrong"
    """
    import json
    from dataclasses import asdict

    from oferta.clock import SystemClock
    from oferta.errors import FencedOut, SettingsInvalid
    from oferta.store.connecting import connect
    from oferta_training.publications import PublicationLog, publication_log_path
    from oferta_training.releases import rollback as run

    if not reason.strip():
        raise SettingsInvalid("--reason", ["say why: the publication log keeps it"])
    settings, clock = _settings(home), SystemClock()
    try:
        with connect(settings) as store:
            done = run(
                store.writer,
                store.space,
                reason=reason.strip(),
                clock=clock,
                publications=PublicationLog(publication_log_path(settings.home), clock),
            )
    except FencedOut as error:
        _end_fenced_out(error)
    typer.echo(
        json.dumps(asdict(done))
        if as_json
        else f"Release {done.manifest.release} ({done.manifest.model}) is live again, "
        f"in place of release {done.replaced}."
    )


def releases(*, home: Home = None, as_json: AsJson = False) -> None:
    """List the releases in the store: live, previous, incoming, orphans.

    Example: oferta releases --json
    """
    import json

    from oferta.clock import SystemClock
    from oferta.store.connecting import connect
    from oferta_training.releases import list_releases

    with connect(_settings(home)) as store:
        found = list_releases(store.writer, store.space, now=SystemClock().now())
    if as_json:
        rows = [
            {
                "release": each.number,
                "state": each.state,
                "model": each.model,
                "created_at": each.created_at,
                "age_s": each.age.total_seconds(),
                "customers": each.customers,
                "products": each.products,
                "bytes": each.row_bytes,
            }
            for each in found
        ]
        typer.echo(json.dumps(rows))
        return
    if not found:
        typer.echo("No release yet. Publish one: oferta publish --help")
        return
    typer.echo(
        f"{'release':>8}  {'state':8}  {'model':24}  {'age':>10}  {'customers':>10}  {'MiB':>8}"
    )
    for each in found:
        size = "-" if each.row_bytes is None else f"{each.row_bytes / 2**20:.1f}"
        hours = each.age.total_seconds() / 3600
        typer.echo(
            f"{each.number:>8}  {each.state:8}  {each.model:24}  {hours:>8.1f} h  "
            f"{each.customers:>10}  {size:>8}"
        )


def publish_scores(
    scores: "Callable[[], ScoresFolder]",
    *,
    settings: "StoreSettings",
    override: str | None = None,
    replicas: int = 0,
    only_if_missing: bool = False,
    live: bool = True,
) -> "Published | None":
    """Publish what `scores` gives to the store of `settings`, with bars in a terminal.

    Returns None where `only_if_missing` and a release is live; nothing is scored then.

    Raises:
        SourceRefused: the folder is unfinished or altered.
        FencedOut, PublishRefused, StoreUnavailable: as in `oferta_training.publish`.
        LedgerUnavailable: nobody can say who refused personalisation, or was forgotten.
    """
    from oferta.clock import SystemClock
    from oferta.progress import Terminal
    from oferta.store.connecting import connect
    from oferta.store.forgotten import forgotten_now, forgotten_of
    from oferta_training.copying import bring_consents
    from oferta_training.forgotten import scores_without
    from oferta_training.publications import PublicationLog, publication_log_path
    from oferta_training.publish import Options
    from oferta_training.publish import publish as run
    from oferta_training.refused import refusals_of
    from oferta_training.releases import live_manifest

    clock = SystemClock()
    with connect(settings) as store:
        if only_if_missing and live_manifest(store.writer, store.space) is not None:
            return None
        bring_consents(settings.home, store.url, store.space, clock=clock)
        return run(
            scores_without(scores(), forgotten_of(settings.home)),
            store.writer,
            store.space,
            clock=clock,
            publications=PublicationLog(publication_log_path(settings.home), clock),
            progress=Terminal(),
            options=Options(
                override=override,
                replicas=replicas,
                live=live,
                refusals=refusals_of(settings.home, "personalisation"),
                forgotten=forgotten_now(settings.home),
            ),
        )


def _score(
    dataset: Path | None,
    model: str | None,
    *,
    home: Path | None,
    again: bool,
    wanted: "Wanted",
) -> "ScoresFolder":
    """Scores of the champion: made now, or where not `again` those that are there of the same."""
    from oferta.clock import SystemClock
    from oferta.home import home_folder
    from oferta.progress import Terminal
    from oferta_training.score import score, scores_for
    from oferta_training.tracking import answered

    folder, make = home_folder(home), score if again else scores_for
    with answered():
        return make(
            folder,
            model=model,
            dataset=dataset,
            clock=SystemClock(),
            progress=Terminal(),
            wanted=wanted,
        )


def _last_live(home: Path | None) -> "ScoresFolder | None":
    from oferta.clock import SystemClock
    from oferta.home import home_folder
    from oferta_training.healing import last_live
    from oferta_training.publications import PublicationLog, publication_log_path

    folder, clock = home_folder(home), SystemClock()
    return last_live(folder, PublicationLog(publication_log_path(folder), clock), now=clock.now())


def _wanted(profiles: bool | None, policy: Path | None, as_of: str | None) -> "Wanted":
    """What the options say of profiles. `2026-06-01T12:00` without a zone is UTC."""
    from datetime import UTC, datetime

    from oferta.errors import SettingsInvalid
    from oferta.policy.file import load_policy
    from oferta_training.score import Wanted

    try:
        instant = None if as_of is None else datetime.fromisoformat(as_of)
    except ValueError:
        raise SettingsInvalid(
            "--as-of", [f"'{as_of}' is no instant: write 2026-06-01 or 2026-06-01T12:00:00Z"]
        ) from None
    if instant is not None and instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return Wanted(profiles, instant, None if policy is None else load_policy(policy))


def summary(done: "Published") -> str:
    """A publish in a few lines for people."""
    manifest = done.manifest
    first = (
        f"Release {manifest.release} is live: {manifest.customers} customers, "
        f"{manifest.products} products, model {manifest.model}, "
        + (f"{done.profiles} profiles, " if done.profiles else "")
        + f"{done.row_bytes / 2**20:.1f} MiB."
    )
    lines = [first]
    if done.previous is not None:
        lines.append(
            f'Release {done.previous} is kept: `oferta rollback --reason "..."` goes back to it.'
        )
    if done.overridden:
        lines.append(f"Overridden: {', '.join(done.overridden)}.")
    return "\n".join(lines)


def _settings(home: Path | None) -> "StoreSettings":
    from oferta.home import home_folder
    from oferta.store.connecting import StoreSettings

    return StoreSettings.from_environment(home_folder(home))


def _end_fenced_out(error: "FencedOut") -> NoReturn:
    typer.echo(f"oferta: {error}", err=True)
    raise typer.Exit(FENCED_OUT)
