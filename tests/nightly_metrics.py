"""The figures of `oferta monitor` that alarms and dashboard use."""

NIGHTLY: dict[str, set[str]] = {
    "oferta_monitoring_at_seconds": set(),
    "oferta_shift_psi": {"fact"},
    "oferta_shift_level": {"fact"},
    "oferta_funnel_model": {"placement", "model", "stage"},
    "oferta_funnel_offer": {"placement", "offer", "stage"},
    "oferta_lists_personalised_share": set(),
    "oferta_data_active_customers": set(),
    "oferta_data_last_event_seconds": set(),
}
"""By name the labels of each."""
