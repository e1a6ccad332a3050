"""Whether this process may have traffic, and what is wrong, each with what to do."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from oferta_serving.overload import Turn
from oferta_serving.schemas import Check, Readiness, Status
from oferta_serving.services import Services

_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "no_release": "Nothing was published yet. Run `oferta train`, then `oferta publish`.",
        "store_empty": (
            "Redis has no live release: it was emptied, or is another one. "
            "Run `oferta publish` again; the popular list is served meanwhile."
        ),
        "release_unreadable": (
            "The live release cannot be read: `oferta publish`, or `oferta rollback --reason ...`."
        ),
        "key_secret_differs": (
            "OFERTA_KEY_SECRET differs from the publisher's: no customer can be found. Set both to "
            "the same secret, or give both the same state folder."
        ),
        "store_evicts": (
            "Redis may remove rows, states and consents without any error: its maxmemory-policy is "
            "not noeviction. Set it back (CONFIG SET, and the file), then `oferta publish`."
        ),
        "store_unavailable": (
            "Redis does not answer. The popular list is served; it heals by itself when Redis does."
        ),
    }
)


_RULES_REFUSED = (
    "in policy, catalogue or rate cards on disk: decided by those before, if there were any. "
    "/health/status (scope operate) and the log (rules.refused) name them; no restart is needed."
)
_CONSENT_UNKNOWN = (
    "consent_unknown: the consent ledger, or what was copied of it, cannot be relied on, so "
    "nothing is personal. The log says why (`consent.`): docs/privacy.md."
)
_MOST_SHOWN = 50


def readiness(services: Services) -> Readiness:
    """The state of this process now."""
    serving = services.releases.current
    live = serving.live
    lost = services.breaker.is_open or not services.releases.pointer_read
    trouble = serving.trouble if live is not None else None
    checks = [
        Check(
            name="release",
            ok=live is not None,
            detail="A release is loaded." if live is not None else _said("no_release"),
        ),
        Check(
            name="store",
            ok=not lost,
            detail="Redis answers." if not lost else _said("store_unavailable"),
        ),
    ]
    age = None
    if live is not None:
        checks.append(
            Check(
                name="rows",
                ok=trouble is None,
                detail="Customers' lists can be read." if trouble is None else _said(trouble),
            )
        )
        age = max(0, int(services.clock.now().timestamp() - live.head.manifest.created_at))
        freshness = services.settings.freshness
        checks.append(
            Check(
                name="fresh",
                ok=age <= freshness.stale_after_h * 3600,
                detail=f"The release is {age} s old."
                + (" Run `oferta publish`." if age > freshness.stale_after_h * 3600 else ""),
            )
        )
    if services.watch is not None and services.watch.evicts:
        checks.append(Check(name="eviction", ok=False, detail=_said("store_evicts")))
    if services.consent.trouble is not None:
        checks.append(Check(name="consent", ok=False, detail=_CONSENT_UNKNOWN))
    deciding = services.deciding
    if deciding is not None:
        refused = deciding.rules.refused
        checks.append(
            Check(
                name="rules",
                ok=not refused,
                detail="Decided by the files on disk." if not refused else _counted(refused),
            )
        )
    if services.draining.begun:
        checks.append(Check(name="draining", ok=False, detail="This process is stopping."))
    others = [each.releases.current.live is not None for each in services.tenants]
    if others:
        # How many, not which: anybody may ask. Who has their key asks for one tenant by itself.
        said = f"{sum(others)} of {len(others)} further tenants have a release."
        checks.append(Check(name="tenants", ok=all(others), detail=said))
    degraded = not all(check.ok for check in checks)
    usable = (live is not None or any(others)) and not services.draining.begun
    return Readiness(
        status="not_ready" if not usable else "degraded" if degraded else "ready",
        degraded=degraded,
        release=None if live is None else live.head.manifest.release,
        model=None if live is None else live.head.manifest.model,
        age_s=age,
        checks=checks,
    )


def status(services: Services) -> Status:
    """The state of this process in detail."""
    turnstile, watch = services.turnstile, services.watch
    return Status(
        readiness=readiness(services),
        rules_refused=_refused(services),
        breaker="open" if services.breaker.is_open else "closed",
        eviction_policy=None if watch is None else watch.policy,
        under_way=turnstile.inside,
        waiting=turnstile.waiting,
        at_most=turnstile.most,
        shedding=turnstile.sheds(Turn.SERVE),
        restored_from_disk=_from_disk(services),
    )


def _from_disk(services: Services) -> bool:
    live = services.releases.current.live
    return live is not None and live.from_disk


def _counted(problems: Sequence[str]) -> str:
    """How many, not which: anybody may ask, and a mistake quotes a commercial rule."""
    return f"{len(problems)} mistake{'s' * (len(problems) > 1)} {_RULES_REFUSED}"


def _refused(services: Services) -> list[str]:
    problems = () if services.deciding is None else services.deciding.rules.refused
    shown = list(problems[:_MOST_SHOWN])
    if len(problems) > _MOST_SHOWN:
        shown.append(f"and {len(problems) - _MOST_SHOWN} more, which the log names")
    return shown


def _said(trouble: str) -> str:
    return f"{trouble}: {_REMEDIES[trouble]}"
