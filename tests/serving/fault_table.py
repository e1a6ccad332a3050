"""Faults 41 to 68, those of the API: which tests hold us to them, or why nothing does.

The page of all faults is made of tables like this one; a test keeps the names true.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_HERE = "tests/serving/"

TESTS: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType(
    {
        41: (
            _HERE + "test_faults_ids.py::test_fault_41_ids_that_are_none",
            _HERE + "test_faults_ids.py::test_fault_41_every_other_id_round_trips",
            _HERE + "test_faults_ids.py::test_fault_41_products_too",
        ),
        42: (
            _HERE + "test_faults_ids.py::test_fault_42_lone_surrogates",
            _HERE + "test_faults_every_route.py"
            "::test_faults_42_to_47_and_53_on_every_route_with_a_body",
        ),
        43: (
            _HERE + "test_faults_values.py::test_fault_43_not_finite_numbers",
            _HERE + "test_faults_every_route.py"
            "::test_faults_42_to_47_and_53_on_every_route_with_a_body",
        ),
        44: (
            _HERE + "test_faults_values.py::test_fault_44_huge_integers",
            _HERE + "test_faults_values.py::test_fault_44_huge_floats",
        ),
        45: (
            _HERE + "test_faults_values.py::test_fault_45_duplicate_keys",
            _HERE + "test_faults_every_route.py"
            "::test_faults_42_to_47_and_53_on_every_route_with_a_body",
        ),
        46: (
            _HERE + "test_faults_values.py::test_fault_46_what_is_no_integer_in_a_query",
            _HERE + "test_faults_values.py::test_fault_46_what_is_no_integer_in_json",
        ),
        47: (
            _HERE + "test_faults_values.py::test_fault_47_unknown_names",
            _HERE + "test_faults_every_route.py::test_faults_47_and_48_on_every_route",
        ),
        48: (
            _HERE + "test_faults_values.py::test_fault_48_repeated_parameters",
            _HERE + "test_faults_every_route.py::test_faults_47_and_48_on_every_route",
        ),
        49: (_HERE + "test_faults_values.py::test_fault_49_numbers_out_of_bounds",),
        50: (
            _HERE + "test_faults_values.py::test_fault_50_unknown_categories_and_segments",
            _HERE + "test_decisions.py::test_a_wrong_field_is_named_and_never_repeated",
            _HERE + "test_tenants.py::test_a_tenant_that_is_not_served_here_is_refused",
        ),
        51: (
            _HERE
            + "test_faults_ids.py"
            + "::test_fault_51_unknown_customers_get_everybodys_list_in_the_same_shape",
        ),
        52: (_HERE + "test_faults_ids.py::test_fault_52_batches",),
        53: (
            _HERE + "test_faults_bodies.py::test_fault_53_bodies_that_are_no_json",
            _HERE + "test_faults_every_route.py"
            "::test_faults_42_to_47_and_53_on_every_route_with_a_body",
        ),
        54: (
            _HERE + "test_faults_bodies.py::test_fault_54_bodies_that_are_too_large",
            _HERE + "test_faults_wire.py::test_fault_54_bodies_and_heads_that_never_end",
            _HERE + "test_faults_wire.py::test_fault_54_a_length_that_lies",
            _HERE + "test_faults_every_route.py::test_faults_54_and_55_on_every_route_with_a_body",
        ),
        55: (
            _HERE + "test_faults_bodies.py::test_fault_55_content_types",
            _HERE + "test_faults_bodies.py::test_fault_55_compressed_bodies",
            _HERE + "test_faults_bodies.py::test_fault_55_accept",
        ),
        56: (_HERE + "test_faults_wire.py::test_fault_56_long_urls_and_large_headers",),
        57: (
            _HERE + "test_faults_keys.py::test_fault_57_no_key_a_wrong_one_and_two",
            _HERE + "test_faults_keys.py::test_fault_57_a_key_in_the_url",
            _HERE
            + "test_faults_keys.py"
            + "::test_fault_57_every_route_refuses_keys_of_every_other_scope",
            _HERE
            + "test_faults_keys.py"
            + "::test_expired_and_revoked_keys_are_told_to_who_has_them_and_to_nobody_else",
            _HERE + "test_tenants.py::test_no_route_shows_or_alters_what_is_another_tenant_s",
            _HERE
            + "test_keys_command.py"
            + "::test_a_revoked_key_opens_nothing_a_second_later_in_any_worker",
        ),
        59: (
            _HERE
            + "test_events.py"
            + "::test_the_same_again_is_a_duplicate_whatever_the_order_of_its_fields",
            _HERE + "test_events.py::test_the_same_id_with_another_body_is_a_conflict",
        ),
        60: (
            _HERE + "test_events.py::test_a_bad_row_is_named_and_costs_the_others_nothing",
            _HERE + "test_events.py::test_times_up_to_the_bounds_are_taken",
        ),
        61: (_HERE + "test_events.py::test_a_product_that_is_not_on_sale_is_parked",),
        62: (
            _HERE
            + "test_events_of_decisions.py"
            + "::test_a_decision_of_somebody_else_is_as_unknown_as_none",
            _HERE + "test_events_of_decisions.py::test_an_offer_that_was_not_made_is_refused",
        ),
        63: (
            _HERE
            + "test_rates.py"
            + "::test_fault_63_one_key_s_flood_is_turned_away_and_costs_others_nothing",
            _HERE + "test_rates.py::test_fault_63_a_batch_is_counted_by_its_rows",
        ),
        64: (
            _HERE
            + "test_consent_faults.py"
            + "::test_an_opt_out_while_redis_hangs_is_stored_and_holds_when_it_is_back",
            _HERE
            + "test_consent.py"
            + "::test_who_opts_out_gets_everybodys_list_at_once_and_their_own_when_they_opt_in",
        ),
        65: (
            _HERE
            + "test_erasure.py"
            + "::test_a_delivery_or_a_release_after_it_does_not_bring_them_back",
            _HERE + "test_erasure.py::test_what_a_late_process_wrote_again_goes_with_the_next_run",
        ),
        66: (
            _HERE + "test_faults_wire.py::test_fault_66_other_methods",
            _HERE + "test_faults_wire.py::test_fault_66_unknown_routes",
            _HERE + "test_faults_wire.py::test_fault_66_old_and_pipelined_http",
            _HERE + "test_faults_wire.py::test_fault_66_smuggling_pairs",
            _HERE + "test_faults_every_route.py::test_fault_66_other_methods_on_every_route",
        ),
        67: (
            _HERE + "test_wrong_replies.py::test_the_readers",
            _HERE + "test_wrong_replies.py::test_the_wires",
            _HERE
            + "test_faults_wire.py"
            + "::test_a_malformed_request_never_overtakes_the_answer_before_it",
        ),
        68: (
            _HERE + "test_faults_every_route.py::test_fault_68_nothing_that_administers_is_there",
            _HERE
            + "test_tenants.py"
            + "::test_no_other_scope_opens_a_route_whoever_s_ids_it_is_asked_with",
        ),
    }
)
"""The number of a fault, and the tests that were seen to fail without what handles it."""

NOT_COVERED: Final[Mapping[int, str]] = MappingProxyType(
    {
        58: "There are no JSON web tokens: callers have API keys, and nothing else is believed.",
    }
)
"""Faults without a test, and why."""

FIRST, LAST = 41, 68
