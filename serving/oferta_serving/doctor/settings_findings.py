"""What is wrong with the files that this installation is told to serve and decide by."""

from collections.abc import Iterator
from pathlib import Path

from oferta.errors import InputError
from oferta_serving.doctor.finding import Finding, ok, wrong
from oferta_serving.settings import ServingSettings, check_reach, load_settings


def read_settings(config: Path | None) -> tuple[ServingSettings, list[Finding]]:
    """The settings of the file, those by default where it has mistakes; and what is wrong."""
    try:
        settings = load_settings(config, {})
    except InputError as error:
        remedy = "Mend the file; serving/serving.toml shows every key."
        return ServingSettings(), [wrong("files", "settings", str(error), remedy)]
    said = "No file: every setting has its default." if config is None else f"{config} is right."
    return settings, [ok("files", "settings", said)]


def settings_findings(settings: ServingSettings, home: Path) -> Iterator[Finding]:
    """Whether these settings can be served by."""
    try:
        check_reach(settings.host, home)
    except InputError as error:
        yield wrong("keys", "reach", str(error), "Make a key with `oferta keys create`.")
    else:
        yield ok("keys", "reach", f"Listens on {settings.host}.")
    if settings.decisions.policy is None:
        yield ok("files", "decisions", "No policy is named: lists only, no decisions.")
        return
    from oferta_serving.deciding.files import load_rulebook  # noqa: PLC0415 - heavy
    from oferta_serving.deciding.rules import rule_files  # noqa: PLC0415 - heavy

    try:
        load_rulebook(rule_files(settings.decisions))
    except InputError as error:
        yield wrong("files", "decisions", str(error), "Mend them; serving follows without restart.")
    else:
        yield ok("files", "decisions", "Policy, catalogue and rate cards fit together.")
