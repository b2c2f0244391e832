--
-- Privileges: nothing here is for PUBLIC; pg_monitor may look
--

REVOKE ALL ON FUNCTION schema_version(), binary_version(), loaded_version(),
    managed_versions(), plan(text), plan_sql(text), preflight(text),
    can_finalize(text), upgrade_fingerprint(), current_status(),
    finalize_to(text, text, text[]), finalize(),
    hold(text, timestamptz), release(), record_backup(text, timestamptz),
    stop_for_hold(), await_holds(), wake_at_commit(), cancel(), retry(), tick(),
    wait_for(text, interval), running_attempts(), worker_counters(),
    support_bundle(), member_definitions(text), check_applies(text[]),
    check_documentdb_crud(), rehearse(text, boolean), rehearsal_report(bigint),
    rehearsal_step(jsonb, bigint, integer), rehearsal_changes(jsonb, text), fleet()
    FROM PUBLIC;
REVOKE ALL ON PROCEDURE run_finalize_to(text, text, text[]),
    run_rehearse(text, boolean)
    FROM PUBLIC;

GRANT EXECUTE ON FUNCTION schema_version(), binary_version(), loaded_version(),
    managed_versions(), plan(text), plan_sql(text), preflight(text),
    can_finalize(text), upgrade_fingerprint(), current_status(),
    wait_for(text, interval), running_attempts(), worker_counters(),
    support_bundle(), member_definitions(text), check_applies(text[]),
    rehearsal_report(bigint), rehearsal_step(jsonb, bigint, integer),
    rehearsal_changes(jsonb, text), fleet()
    TO pg_monitor;
GRANT SELECT ON history, checks, holds, backups, binaries_seen, versions, status,
    progress, metrics, member_digests, rehearsals, standbys
    TO pg_monitor;

REVOKE ALL ON FUNCTION validate_spec(jsonb, jsonb), admission_review(jsonb) FROM PUBLIC;
REVOKE ALL ON PROCEDURE run_validate_spec(jsonb, jsonb, jsonb), run_admission_review(jsonb, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION validate_spec(jsonb, jsonb), admission_review(jsonb) TO pg_monitor;
GRANT EXECUTE ON PROCEDURE run_validate_spec(jsonb, jsonb, jsonb), run_admission_review(jsonb, jsonb) TO pg_monitor;

REVOKE ALL ON FUNCTION observed_release(), image_versions(text), component_version(text, jsonb),
    version_matches(text, text), release_components(jsonb), add_release(jsonb, bigint, text, jsonb, text),
    record_release(jsonb, bigint, text), observe_release(jsonb),
    compare_releases(bigint, bigint), shell_quote(text), patch_resource(jsonb),
    release_action(text, text, jsonb, boolean), refuse_release(bigint, bigint, boolean),
    release_steps(bigint, bigint, boolean, boolean), release_plan(bigint, bigint),
    rollback_plan(bigint, bigint, boolean), error_counters(), record_rollback(bigint, bigint, text[], text[]),
    verify_rollback(bigint), check_compatibility(jsonb), classify(text, text, text)
    FROM PUBLIC;
REVOKE ALL ON PROCEDURE run_record_release(jsonb, bigint, text, bigint),
    run_record_rollback(bigint, bigint, text[], text[], bigint)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION observed_release(), image_versions(text), component_version(text, jsonb),
    version_matches(text, text), release_components(jsonb), compare_releases(bigint, bigint),
    shell_quote(text), patch_resource(jsonb), release_action(text, text, jsonb, boolean),
    refuse_release(bigint, bigint, boolean), release_steps(bigint, bigint, boolean, boolean),
    release_plan(bigint, bigint), rollback_plan(bigint, bigint, boolean), error_counters(),
    verify_rollback(bigint), check_compatibility(jsonb), classify(text, text, text)
    TO pg_monitor;
GRANT SELECT ON releases, rollbacks, compatibility TO pg_monitor;

REVOKE ALL ON FUNCTION health_versions(), health_state(), health_gate(), health_guards(),
    health_surroundings(), health_members(), health_standbys(),
    health_slots(), health_replication_lag(), health_invalid_indexes(),
    health_unvalidated_constraints(), health_tables(),
    health_disabled_triggers(), health_failed_jobs(), health_connections(),
    health_transactions(), health_prepared_transactions(),
    health_wraparound(), health_statistics(), health_counters(),
    health_recorded_failures(), health_checks(), health_installed(),
    health_report(text[]), pre_upgrade_report(), post_upgrade_report(),
    worker_location(), runbook_text(text), runbook_name(text),
    runbook_code(text, text), runbook_duration(numeric),
    runbook_changes(jsonb, text, boolean), runbook_facts(text),
    runbook_resource(jsonb, text), runbook_psql(jsonb),
    runbook_section_summary(jsonb), runbook_section_news(jsonb),
    runbook_section_leavers(jsonb), runbook_section_difficulty(jsonb),
    runbook_section_prerequisites(jsonb), runbook_section_backup(jsonb),
    runbook_section_binary(jsonb), runbook_section_schema(jsonb),
    runbook_section_verification(jsonb), runbook_section_smoke_tests(jsonb),
    runbook_section_rollback(jsonb), runbook_section_recovery(jsonb),
    runbook_section_watch(jsonb), runbook_section_clean_up(jsonb),
    runbook_failure(jsonb, text), runbook_section_troubleshooting(jsonb),
    runbook_section_checklist(jsonb), runbook_section_migration_sql(jsonb),
    runbook_section_elsewhere(jsonb), runbook(text)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION health_versions(), health_state(), health_gate(), health_guards(),
    health_surroundings(), health_members(), health_standbys(),
    health_slots(), health_replication_lag(), health_invalid_indexes(),
    health_unvalidated_constraints(), health_tables(),
    health_disabled_triggers(), health_failed_jobs(), health_connections(),
    health_transactions(), health_prepared_transactions(),
    health_wraparound(), health_statistics(), health_counters(),
    health_recorded_failures(), health_checks(), health_installed(),
    health_report(text[]), pre_upgrade_report(), post_upgrade_report(),
    worker_location(), runbook_text(text), runbook_name(text),
    runbook_code(text, text), runbook_duration(numeric),
    runbook_changes(jsonb, text, boolean), runbook_facts(text),
    runbook_resource(jsonb, text), runbook_psql(jsonb),
    runbook_section_summary(jsonb), runbook_section_news(jsonb),
    runbook_section_leavers(jsonb), runbook_section_difficulty(jsonb),
    runbook_section_prerequisites(jsonb), runbook_section_backup(jsonb),
    runbook_section_binary(jsonb), runbook_section_schema(jsonb),
    runbook_section_verification(jsonb), runbook_section_smoke_tests(jsonb),
    runbook_section_rollback(jsonb), runbook_section_recovery(jsonb),
    runbook_section_watch(jsonb), runbook_section_clean_up(jsonb),
    runbook_failure(jsonb, text), runbook_section_troubleshooting(jsonb),
    runbook_section_checklist(jsonb), runbook_section_migration_sql(jsonb),
    runbook_section_elsewhere(jsonb), runbook(text)
    TO pg_monitor;

REVOKE ALL ON FUNCTION row_checksum_add(internal, record), columns_checksum_add(internal, record, "any"),
    row_checksum_combine(internal, internal), row_checksum_serialize(internal),
    row_checksum_deserialize(bytea, internal), row_checksum_result(internal),
    row_checksum(record), columns_checksum(record, "any"), record_checksum(record),
    checksum_algorithm(), add_checksums(text, text)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION row_checksum(record), columns_checksum(record, "any"), record_checksum(record),
    checksum_algorithm(), add_checksums(text, text)
    TO pg_monitor;

REVOKE ALL ON FUNCTION run_parity(jsonb, text) FROM PUBLIC;

REVOKE ALL ON FUNCTION parity_is_alive(parity_runs), parity_names(text[]), parity_listing(jsonb),
    parity_row(parity_tables, text), parity_hash(parity_tables, text), parity_key(parity_tables),
    parity_bound(parity_tables, text, jsonb), parity_condition(parity_tables, text),
    parity_row_sum(parity_tables, text, text), parity_sums(parity_tables, text, text, integer), parity_next_bound(parity_tables, jsonb),
    parity_sum_statement(parity_tables, text, text), parity_bucket_statement(parity_tables, text, text),
    parity_rows_statement(parity_tables, text, text), parity_recheck_statement(parity_tables, text),
    parity_checksum(text, text), parity_ends_run(text), parity_error(jsonb), parity_fail(bigint, jsonb), parity_is_exact(),
    parity_is_listing(jsonb), parity_is_answer(parity_runs, parity_tables, jsonb), parity_accept(parity_runs, parity_tables, jsonb),
    parity_nonsense(text, jsonb, text, text), parity_begin(jsonb), parity_pairs(parity_runs, jsonb, jsonb), parity_refuse_listing(parity_runs, jsonb, jsonb),
    parity_listed(parity_runs, jsonb, jsonb), parity_compare_listings(parity_runs, jsonb, jsonb),
    parity_sequence_statement(jsonb), parity_run_asks(parity_runs), parity_sequences_read(parity_runs, jsonb),
    parity_verified(parity_runs, jsonb), parity_finish(parity_runs), parity_run_hears(parity_runs, jsonb),
    parity_claim(parity_runs, integer), parity_throttle(parity_runs), parity_table_statement(parity_tables, text, text), parity_table_asks(parity_runs, parity_tables),
    parity_candidates(parity_tables), parity_room(parity_runs, parity_tables), parity_advance(parity_tables),
    parity_drill(parity_runs, parity_tables, bigint), parity_summed(parity_runs, parity_tables, jsonb),
    parity_pace(bigint, numeric, numeric), parity_bucketed(parity_tables, jsonb), parity_next_buckets(parity_tables),
    parity_rows_read(parity_runs, parity_tables, jsonb), parity_rechecked(parity_runs, parity_tables, jsonb),
    parity_table_done(parity_runs, parity_tables), parity_table_hears(parity_runs, parity_tables, jsonb),
    parity_store(parity_tables), parity_next(bigint, integer, jsonb),
    parity_outcome(bigint, oid), parity_read_checksums(bigint, oid), parity_read_differences(bigint, oid),
    parity_checksums(bigint), parity_found(bigint),
    table_checksums(text[], text[], integer, interval, interval, integer, bigint),
    compare_with(text, text[], text[], integer, interval, interval, integer, integer, text, bigint)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION parity_is_alive(parity_runs) TO pg_monitor;
GRANT SELECT ON parity_runs, parity_tables, parity_differences, parity_progress TO pg_monitor;

REVOKE ALL ON FUNCTION fence_writes(text, interval), lift_fence(), fence_notice(), fence_since(),
    fence_exempts(oid), writers_since(timestamptz), note_parity(bigint), cutover_report()
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fence_notice(), fence_since(), fence_exempts(oid),
    writers_since(timestamptz), cutover_report()
    TO pg_monitor;
GRANT SELECT ON cutovers, fence_writers TO pg_monitor;
