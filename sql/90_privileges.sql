--
-- Privileges: nothing here is for PUBLIC but what asks nothing of the server, and
-- what checks who calls: the reports of standbys, and the state; pg_monitor may look
--

REVOKE ALL ON ALL ROUTINES IN SCHEMA documentdb_upgrade, documentdb_upgrade_internal FROM PUBLIC;

GRANT EXECUTE ON FUNCTION to_semver, to_extension_version, compare_versions, report_standby
    TO PUBLIC;
GRANT EXECUTE ON PROCEDURE run_report_standby, run_status TO PUBLIC;

GRANT EXECUTE ON FUNCTION
    schema_version, binary_version, loaded_version, plan, plan_sql, preflight,
    can_finalize, upgrade_fingerprint, wait_for, support_bundle, member_definitions,
    rehearsal_report, validate_spec, admission_review, compare_releases,
    release_plan, rollback_plan, verify_rollback, check_compatibility, classify,
    pre_upgrade_report, post_upgrade_report, runbook, row_checksum,
    columns_checksum, record_checksum, checksum_algorithm, add_checksums,
    cutover_report, cutover_verdict, decide, outside_objects, convert_resource, conversion_review
    TO pg_monitor;
GRANT EXECUTE ON PROCEDURE
    run_validate_spec, run_admission_review, run_convert_resource, run_conversion_review
    TO pg_monitor;
GRANT SELECT ON
    history, checks, holds, backups, versions, status, progress, metrics,
    member_digests, rehearsals, standbys, releases, rollbacks, compatibility,
    release_notes, parity_runs, parity_tables, parity_differences, parity_progress,
    cutovers, fence_writers, databases, nodes
    TO pg_monitor;

-- What these call as whoever calls them.
GRANT EXECUTE ON FUNCTION
    version_order, managed_versions, main_extension, decide_here, current_status, running_attempts, worker_counters,
    check_applies, rehearsal_step, rehearsal_changes, rehearsal_node, known_standbys, observed_release,
    image_versions, component_version, version_matches, release_components,
    compatible_pairs, notes_of, version_tag, helm_upgrade, noted_action,
    shell_quote, cluster_words, patch_resource, psql_action, release_action, emergency_action, refuse_release,
    release_steps, in_kubernetes, kubernetes_names, outside_answers, manual_checks,
    error_counters, function_exists, health_tables, health_part, health_report, worker_location,
    runbook_value, render, runbook_changes, runbook_settings, smoke_statements, runbook_facts, parity_is_alive,
    fence_notice, fence_since, fence_exempts, duration_words, cutover_estimate, writers_since(timestamptz),
    writers_since(timestamptz, boolean), database_list, rehearsal_outside,
    script_objects, named_members, standing_on, foundations, finding_applies,
    recreation, relation_recreation, column_recreation, policy_recreation,
    grant_statements, still_lost, cluster_nodes, other_definitions
    TO pg_monitor;
GRANT SELECT ON binaries_seen, runbook_template TO pg_monitor;
