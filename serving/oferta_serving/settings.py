"""What `serving.toml` may say, and what comes from the environment: addresses and secrets only."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from oferta.errors import SettingsInvalid, UnknownName
from oferta.home import DEFAULT_TENANT, TENANT, tenant_of_environment
from oferta.settings import Settings, parse, read_toml
from oferta.store.connecting import URL_VARIABLE
from oferta_serving.access.keyfile import KeyFile
from oferta_serving.access.rates import RateSettings
from oferta_serving.event_settings import EventSettings

TenantName = Annotated[str, Field(pattern=TENANT)]
_Files = TypeVar("_Files", "DecisionSettings", "TenantSettings")
Seconds = Annotated[float, Field(gt=0, le=3600)]


class ReaderSettings(Settings):
    """How Redis is read, and when it is left alone. Its deadline of 60 ms a call is fixed."""

    connections: int = Field(default=64, ge=1, le=10_000)
    refresh_ms: int = Field(
        default=200, ge=10, le=250
    )  # a swap is seen by every worker within 250 ms
    open_after: int = Field(
        default=5, ge=1, le=1000
    )  # failures in a row, until requests stop trying
    probe_ms: int = Field(default=500, ge=10, le=10_000)  # how often a lost Redis is tried again


class LimitSettings(Settings):
    """How large a request may be and how long it may take to arrive."""

    url_bytes: int = Field(default=8192, ge=1024, le=65_536)  # a 128 character id is 1.5 kB encoded
    header_bytes: int = Field(default=16_384, ge=1024, le=65_536)
    headers: int = Field(default=100, ge=10, le=1000)
    body_bytes: int = Field(default=262_144, ge=1024, le=16_777_216)
    arrival_s: Seconds = 5.0  # for the head, and again for the body


class FreshnessSettings(Settings):
    """When a release counts as old."""

    stale_after_h: float = Field(default=26, gt=0)  # a daily release, two hours late
    stop_after_h: float = Field(
        default=14 * 24, gt=0
    )  # its rows' lifetime; then nothing is offered
    previous_h: float = Field(
        default=24, ge=0
    )  # after a release was replaced: how long its rows stand in for lost ones


class FallbackSettings(Settings):
    """What is offered to a customer whose row cannot be read."""

    once_only: Literal["auto", "hide", "show"] = "auto"  # what may be had once: they may have it


class DecisionSettings(Settings):
    """What decisions are made with; paths are relative to the folder of the settings' file."""

    policy: Path | None = None  # all three, or none: then there are no decisions
    catalogue: Path | None = None
    rate_cards: Path | None = None
    base: Path | None = None  # scores of everybody, for audiences and triggers
    keep_d: float = Field(default=30, ge=1, le=3650)  # how long a decision can be read and replayed
    log_lines: int = Field(
        default=1_000_000, ge=4096, le=1_000_000_000
    )  # the oldest lines of the decision log give way
    deadline_ms: int = Field(
        default=500, ge=50, le=60_000
    )  # for an answer of Redis; and until a decision that others are faster than is given up

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        files = {"policy": self.policy, "catalogue": self.catalogue, "rate_cards": self.rate_cards}
        missing = [name for name, path in files.items() if path is None]
        if 0 < len(missing) < len(files):
            raise ValueError(f"{' and '.join(missing)} missing: decisions need all three")
        return self


class OverloadSettings(Settings):
    """How much a worker does at once, and how long the rest may wait."""

    concurrent: int = Field(default=32, ge=1, le=10_000)  # requests under way
    queue_ms: float = Field(
        default=20, ge=1, le=10_000
    )  # that lists, decisions and events may wait for their turn
    batches: int = Field(default=4, ge=1, le=1000)  # of them: batches and what staff ask


class PrivacySettings(Settings):
    """Whether answers may depend on who asks, and who keeps what customers agreed to."""

    ledger: bool = True  # the consent ledger is kept on this machine; false: on another one
    personalise: bool = True  # false: no list and no decision depends on anybody


class TenantSettings(Settings):
    """What a further tenant decides by; all else is as at the top. Paths as in `[decisions]`."""

    policy: Path | None = None
    catalogue: Path | None = None
    rate_cards: Path | None = None
    base: Path | None = None
    personalise: bool | None = None  # as `privacy.personalise`; none: as at the top


class StopSettings(Settings):
    """How the server goes when it is told to (SIGTERM)."""

    notice_s: float = Field(
        default=2.0, ge=0, le=60
    )  # not ready but serving, so a balancer can turn away
    drain_s: float = Field(default=10.0, ge=0, le=300)  # for requests under way


class ServingSettings(Settings):
    """All of `serving.toml`. Every key has a default; the file may be empty or absent."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    workers: int = Field(default=1, ge=1, le=256)
    docs: bool | None = None  # None: where only this machine is listened to
    access_log: bool = False
    log_format: Literal["text", "json"] = "text"
    store: ReaderSettings = ReaderSettings()
    limits: LimitSettings = LimitSettings()
    freshness: FreshnessSettings = FreshnessSettings()
    fallback: FallbackSettings = FallbackSettings()
    decisions: DecisionSettings = DecisionSettings()
    events: EventSettings = EventSettings()
    overload: OverloadSettings = OverloadSettings()
    privacy: PrivacySettings = PrivacySettings()
    rate: RateSettings = RateSettings()
    stop: StopSettings = StopSettings()
    tenants: dict[TenantName, TenantSettings] = Field(default_factory=dict)

    def of(self, tenant: str) -> "ServingSettings":
        """The settings of a tenant.

        Raises:
            UnknownName: `tenants` has no such one.
        """
        if tenant == DEFAULT_TENANT:
            return self
        if tenant not in self.tenants:
            raise UnknownName("tenant", tenant, (DEFAULT_TENANT, *self.tenants))
        files = self.tenants[tenant].model_dump()
        personalise = files.pop("personalise")
        decisions = DecisionSettings.model_validate(self.decisions.model_dump() | files)
        changed: dict[str, object] = {"decisions": decisions, "tenants": {}}
        if personalise is not None:
            changed["privacy"] = self.privacy.model_copy(update={"personalise": personalise})
        return self.model_copy(update=changed)

    @model_validator(mode="after")
    def _tenants_are_whole(self) -> Self:
        if DEFAULT_TENANT in self.tenants:
            raise ValueError("tenants.default: its settings are those at the top")
        for name in self.tenants:
            self.of(name)
        return self

    @property
    def shows_docs(self) -> bool:
        """Whether `/docs` and `/openapi.json` are there: to strangers only if so decided."""
        return is_loopback(self.host) if self.docs is None else self.docs


def load_settings(config: Path | None, given: Mapping[str, object]) -> ServingSettings:
    """The settings of a file, those `given` winning over it; paths of the file made absolute.

    Where `OFERTA_TENANT` names a tenant, as they are for that one.

    Raises:
        UnknownName: the file has no such tenant.
        SettingsInvalid: every unknown key (with the nearest known one) and every wrong value.
    """
    values = {} if config is None else read_toml(config)
    values |= given
    settings = parse(values, ServingSettings, place=config or "oferta serve")
    folder = Path() if config is None else config.parent
    tenants = {name: _under(folder, tenant) for name, tenant in settings.tenants.items()}
    decisions = _under(folder, settings.decisions)
    found = settings.model_copy(update={"decisions": decisions, "tenants": tenants})
    return found.of(tenant_of_environment())


def _under(folder: Path, files: _Files) -> _Files:
    """The same with absolute paths, those that were relative under `folder`."""
    paths = ("policy", "catalogue", "rate_cards", "base")
    given = {name: getattr(files, name) for name in paths}
    absolute = {name: (folder / path).absolute() for name, path in given.items() if path}
    return files.model_copy(update=absolute)


@dataclass(frozen=True, slots=True, repr=False)
class Environment:
    """What the environment gave. Has no readable form: it holds secrets.

    Attributes:
        redis_url: address of Redis; None starts the embedded one.
    """

    redis_url: str | None

    def __repr__(self) -> str:
        return "Environment(...)"


def read_environment() -> Environment:
    """The addresses and secrets that the environment holds."""
    return Environment(redis_url=os.environ.get(URL_VARIABLE) or None)


def check_reach(host: str, home: Path) -> None:
    """Where no API key was ever made, only this machine may be listened to.

    Raises:
        SettingsInvalid: `host` is reachable from elsewhere and there are no keys, or their file
            cannot be read, or is gone.
    """
    KeyFile(home).check_not_lost()
    if KeyFile(home).read() or is_loopback(host):
        return
    problem = (
        f"'{host}' can be reached from other machines, and there is no API key: "
        "`oferta keys create NAME` makes one (see docs/access.md), or listen on 127.0.0.1"
    )
    raise SettingsInvalid("host", [problem])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name may resolve to anything
