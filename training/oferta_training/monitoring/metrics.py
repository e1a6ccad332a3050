"""What was seen as metrics, for the textfile collector of Prometheus's node exporter."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from oferta_training.monitoring.funnel import STAGES
from oferta_training.monitoring.look import Look


def metrics_text(seen: Look) -> str:
    """The exposition format, one gauge a figure. No label says who a customer is."""
    registry = CollectorRegistry()
    for name, said, value in _plain(seen):
        Gauge(f"oferta_{name}", said, registry=registry).set(value)
    psi = Gauge(
        "oferta_shift_psi", "How far a distribution has moved.", ["fact"], registry=registry
    )
    level = Gauge("oferta_shift_level", "0 steady, 1 look, 2 act.", ["fact"], registry=registry)
    for one in seen.all_shifts:
        psi.labels(one.name).set(one.psi)
        level.labels(one.name).set(("steady", "look", "act").index(one.level))
    if seen.funnels is not None:
        for what, rows in (("model", seen.funnels.lists), ("offer", seen.funnels.offers)):
            gauge = Gauge(
                f"oferta_funnel_{what}",
                "Customers and products that reached a stage in four weeks.",
                ["placement", what, "stage"],
                registry=registry,
            )
            for row in rows:
                for stage, count in zip(STAGES, row.stages, strict=True):
                    gauge.labels(row.placement, row.name, stage).set(count)
    return generate_latest(registry).decode()


def _plain(seen: Look) -> Iterator[tuple[str, str, float]]:
    yield "monitoring_at_seconds", "When this was looked at.", seen.at
    yield "monitoring_alarms", "Things to look at.", len(seen.alarms)
    if seen.release is not None and seen.release_at is not None:
        yield "published_release", "The release that went live last.", seen.release
        yield "published_at_seconds", "When it went live.", seen.release_at
    if seen.inputs is not None:
        newest = seen.inputs.volumes[-1]
        yield "data_last_event_seconds", "When the newest event happened.", seen.inputs.last_at
        yield "data_active_customers", "Who did anything in the newest week.", newest.customers
        yield "data_events", "Events of the newest week.", newest.events
    if seen.lists is not None:
        lists = seen.lists
        yield "lists_customers", "Customers who were scored.", lists.customers
        yield "lists_personalised_share", "Share with a list of their own.", lists.personalised
        yield "lists_empty_share", "Share with an empty list.", lists.empty
        yield "lists_cold_share", "Share of whom nothing is known.", lists.cold
        yield "lists_coverage_share", "Share of products in any list.", lists.coverage
        yield "lists_top_share", "Share that begins with the commonest product.", lists.top_share
