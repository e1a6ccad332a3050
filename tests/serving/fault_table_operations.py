"""Faults 69 to 100, those of operation: which tests hold us to them, or why nothing does.

Of the shape of `fault_table`, whose faults are those of the API.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TESTS: Final[Mapping[int | str, tuple[str, ...]]] = MappingProxyType(
    {
        69: (
            (
                "tests/chaos/test_fault_matrix.py"
                "::test_lists_never_fail_whatever_the_network_does_to_redis"
            ),
            "tests/serving/test_degraded.py::test_fault_69_a_hung_redis",
        ),
        70: (
            (
                "tests/serving/test_redis_faults.py"
                "::test_fault_70_a_redis_that_is_loading_is_away_until_it_has_loaded"
            ),
            "tests/serving/test_degraded.py::test_fault_70_a_killed_redis_that_comes_back",
        ),
        71: (
            "tests/serving/test_degraded.py::test_fault_71_an_emptied_redis",
            (
                "tests/serving/test_degraded.py"
                "::test_fault_71_is_told_before_the_pointer_is_read_again"
            ),
        ),
        72: (
            (
                "tests/serving/test_redis_faults.py"
                "::test_fault_72_a_full_redis_is_read_and_says_what_it_cannot_take"
            ),
        ),
        73: (
            (
                "tests/serving/test_redis_faults.py"
                "::test_fault_73_a_full_disk_under_redis_costs_writes_only_and_heals"
            ),
        ),
        74: (
            (
                "tests/core/store/test_denied.py"
                "::test_what_a_replica_refused_is_sent_once_to_whom_its_name_leads_to_by_then"
            ),
        ),
        75: ("tests/core/store/test_cluster.py::test_replicas_are_never_asked",),
        76: (
            (
                "tests/core/store/test_cluster.py"
                "::test_a_slot_that_moves_is_followed_and_nothing_is_lost_or_done_twice"
            ),
        ),
        77: (
            (
                "tests/core/store/test_denied.py"
                "::test_a_password_changes_while_we_run_and_nobody_is_refused"
            ),
        ),
        79: (
            (
                "tests/serving/test_redis_faults.py"
                "::test_fault_79_an_evicting_redis_is_told_within_half_a_minute"
            ),
            (
                "tests/training/test_publish_refusals.py"
                "::test_a_store_that_would_lose_rows_is_refused_before_anything_is_written"
            ),
        ),
        80: (
            (
                "tests/serving/test_degraded.py"
                "::test_fault_71_is_told_before_the_pointer_is_read_again"
            ),
        ),
        81: (
            (
                "tests/serving/test_redis_faults.py"
                "::test_faults_81_and_82_damage_in_any_family_of_keys_is_no_fault_of_ours"
            ),
        ),
        82: (
            (
                "tests/serving/test_redis_faults.py"
                "::test_faults_81_and_82_damage_in_any_family_of_keys_is_no_fault_of_ours"
            ),
            "tests/serving/test_degraded.py::test_fault_82_flipped_bits_give_the_previous_release",
        ),
        83: (
            (
                "tests/serving/test_redis_faults.py"
                "::test_fault_83_a_torn_tail_is_loaded_and_a_torn_middle_is_not"
            ),
        ),
        "83b": (
            (
                "tests/serving/test_redis_faults.py"
                "::test_fault_83b_redis_whose_disk_fails_exits_and_is_away"
            ),
            (
                "tests/serving/test_consent_faults.py"
                "::test_a_ledger_that_vanishes_closes_everything_until_it_is_back"
            ),
            (
                "tests/serving/test_consent_disk.py"
                "::test_a_word_that_did_not_reach_the_disk_is_not_acknowledged"
            ),
        ),
        84: (
            (
                "tests/training/test_publish_races.py"
                "::test_killed_at_any_step_the_live_release_is_whole_and_the_next_run_cleans_up"
            ),
        ),
        85: (
            (
                "tests/training/test_publish_races.py"
                "::test_a_paused_publisher_that_wakes_late_is_fenced_out"
            ),
            (
                "tests/training/test_publish_races.py"
                "::test_a_publisher_whose_rows_a_faster_one_removed_is_fenced_out_too"
            ),
        ),
        86: (
            "tests/training/test_publish_refusals.py::test_scores_of_an_older_dataset_are_refused",
        ),
        87: (
            "tests/training/test_publish_refusals.py::test_a_lost_row_stops_the_swap",
            "tests/training/test_publish_refusals.py::test_a_damaged_row_stops_the_swap",
        ),
        88: (
            (
                "tests/training/test_publish_refusals.py"
                "::test_a_collapse_of_quality_needs_a_persons_reason"
            ),
        ),
        89: (
            (
                "tests/serving/test_degraded.py"
                "::test_fault_89_old_releases_are_flagged_and_too_old_ones_offer_nothing"
            ),
        ),
        91: (
            (
                "tests/core/scoring/test_artefact.py"
                "::test_a_manifest_that_states_another_array_is_refused"
            ),
        ),
        92: (
            (
                "tests/training/test_publish_refusals.py"
                "::test_an_unfinished_altered_or_foreign_folder_is_not_read"
            ),
        ),
        93: (
            (
                "tests/serving/test_process_life.py"
                "::test_r12_a_killed_worker_costs_its_connections_one_failure_each"
            ),
            (
                "tests/serving/test_serve.py"
                "::test_workers_share_the_port_the_counters_and_are_replaced"
            ),
        ),
        94: (
            (
                "tests/serving/test_process_life.py"
                "::test_fault_94_without_descriptors_it_waits_and_serves_again"
            ),
        ),
        95: (
            (
                "tests/serving/test_redis_faults.py"
                "::test_fault_95_a_clock_that_jumps_a_day_stops_nobody"
            ),
        ),
        96: (
            (
                "tests/serving/test_process_life.py"
                "::test_fault_96_a_slow_reader_of_its_log_does_not_stop_it"
            ),
            (
                "tests/serving/test_process_life.py"
                "::test_fault_96_it_serves_when_nobody_reads_its_outputs_any_more"
            ),
        ),
        97: (
            "tests/serving/test_settings.py::test_a_misspelt_setting_names_the_nearest",
            "tests/serving/test_settings.py::test_numbers_out_of_bounds_are_refused",
        ),
    }
)
"""The number of a fault, and the tests that were seen to fail without what handles it."""

NOT_COVERED: Final[Mapping[int | str, str]] = MappingProxyType(
    {
        78: "TLS is redis-py's and its certificates are not rotated here.",
        90: "MLflow is a file here: a server that is down, slow or full was not tried.",
        98: "There is one schema so far: nothing older runs beside it.",
        99: "There is one schema so far: nothing newer to go back from.",
        100: "Whole batches are scored: a row that raises ends the run, and none is live.",
    }
)
"""Faults without a test, and why."""
