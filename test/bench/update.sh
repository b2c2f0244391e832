# shellcheck shell=bash
# Finalize, rehearsal and calls against plain statements, for test/bench/run.

# time_update EXTENSION OLD STATEMENT: prints milliseconds, one line a round,
# of a statement that updates a freshly made extension.  Two other statements
# go first, so that the session's caches are warm in both kinds of run.
time_update() {
	local round
	{
		echo "SET client_min_messages = error;"
		echo "SET documentdb_upgrade.extension = '$1';"
		echo "SELECT documentdb_upgrade.schema_version() \\g /dev/null"
		for round in $(seq "$ROUNDS"); do
			echo "DROP EXTENSION IF EXISTS $1; CREATE EXTENSION $1 VERSION '$2';"
			echo "\\timing on"
			echo "$3"
			echo "\\timing off"
		done
	} | bench_psql -f - | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
}

compare_update() {
	local plain ours
	plain=$(time_update "$1" "$2" "ALTER EXTENSION $1 UPDATE;" | median)
	ours=$(time_update "$1" "$2" "SELECT documentdb_upgrade.finalize() \\g /dev/null" | median)
	result "\`finalize()\`, $1 from $2" "$ours" ms "\`ALTER EXTENSION\`" "$plain" "at most 1.3 x and 3 ms" "o <= 1.3 * t + 3"
}

# time_rehearsal BEFORE STATEMENTS: prints what psql says of each, round by round, the
# times among it; they leave everything as it was.
time_rehearsal() {
	local round
	{
		echo "$1"
		for round in $(seq "$ROUNDS"); do
			echo "\\timing on"
			echo "$2"
			echo "\\timing off"
		done
	} | bench_psql -f - 2>/dev/null
}

# compare_rehearsal EXTENSION OLD [COMPANION]: in place, against the same ALTER
# statements taken back.  Both are the sum of what a round takes.
compare_rehearsal() {
	local plain ours setup='' alter='' name
	for name in ${3:-} "$1"; do
		setup+="DROP EXTENSION IF EXISTS $name CASCADE;"
	done
	for name in ${3:-} "$1"; do
		setup+="CREATE EXTENSION $name VERSION '$2';"
		alter+="ALTER EXTENSION $name UPDATE;"
	done
	setup+="SET documentdb_upgrade.extension = '$1';"
	plain=$(time_rehearsal "$setup" "BEGIN; $alter ROLLBACK;" | awk -v n="$(wc -w <<<"BEGIN ${3:-} $1 ROLLBACK")" \
		'/^Time: / { sum += $2; if (++i % n == 0) { print sum; sum = 0 } }' | median)
	ours=$(time_rehearsal "$setup SET client_min_messages = warning;" \
		"SELECT documentdb_upgrade.rehearse() \\g /dev/null" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | median)
	result "\`rehearse()\`, $1 from $2" "$ours" ms "\`ALTER EXTENSION\` and \`ROLLBACK\`" "$plain" "at most 2 x and 50 ms" "o <= 2 * t + 50"
	[ -z "${3:-}" ] || bench_psql -c "SET client_min_messages = warning" -c "DROP EXTENSION $3 CASCADE"
}

# noop STATEMENT: the median time of one that finds nothing to do.
noop() {
	{
		echo "SELECT documentdb_upgrade.schema_version() \\g /dev/null"
		echo "\\timing on"
		for _ in $(seq "$ROUNDS"); do echo "$1"; done
	} | bench_psql -f - 2>/dev/null | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | median
}

# per_second STATEMENT: executions in one second on one connection.
per_second() {
	printf '%s;\n' "$1" >"$WORK/bench.sql"
	chmod 644 "$WORK/bench.sql"
	PGOPTIONS='-c documentdb_upgrade.extension=pg_stat_statements' as_user "$BIN/pgbench" -n -h "$WORK/s" -p $PORT \
		-U postgres -T 3 -M prepared -f "$WORK/bench.sql" postgres 2>/dev/null |
		sed -n 's/^tps = \([0-9]*\).*/\1/p'
}

# compare_rate NAME OURS PEER THEIRS
compare_rate() { result "$1" "$(per_second "$2")" "per second" "$3" "$(per_second "$4")"; }

start_update_server() {
	start_server "$PART" $PORT 'fsync = on'
	bench_psql -c "CREATE EXTENSION documentdb_upgrade" -c "CREATE EXTENSION pg_stat_statements" \
		-c "ALTER DATABASE postgres SET documentdb_upgrade.extension = 'pg_stat_statements'"
}

measure_update() {
	start_update_server
	compare_update pg_stat_statements 1.4
	compare_update pageinspect 1.5
	compare_update btree_gist 1.2
	compare_update hstore 1.4

	bench_psql -c "DROP EXTENSION pg_stat_statements" -c "CREATE EXTENSION pg_stat_statements"
	result "\`finalize()\`, nothing to do" "$(noop "SELECT documentdb_upgrade.finalize() \\g /dev/null")" ms \
		"\`ALTER EXTENSION\`, nothing to do" "$(noop "ALTER EXTENSION pg_stat_statements UPDATE;")"
	stop_server "$PART"
}

measure_rehearsal() {
	start_update_server
	compare_rehearsal pg_stat_statements 1.4
	compare_rehearsal btree_gist 1.2
	compare_rehearsal documentdb 0.100-0 documentdb_core
	stop_server "$PART"
}

measure_calls() {
	start_update_server
	compare_rate "\`schema_version()\`" "SELECT documentdb_upgrade.schema_version()" "a query of \`pg_extension\`" \
		"SELECT extversion FROM pg_extension WHERE extname = 'pg_stat_statements'"
	compare_rate "\`binary_version()\`" "SELECT documentdb_upgrade.binary_version()" "\`pg_available_extensions\`" \
		"SELECT default_version FROM pg_available_extensions WHERE name = 'pg_stat_statements'"
	compare_rate "\`can_finalize()\`, all guards" "SELECT documentdb_upgrade.can_finalize()" "one query of five of its facts" \
		"SELECT e.extversion, a.default_version, (SELECT count(*) FROM pg_extension_update_paths('pg_stat_statements')), (SELECT count(*) FROM pg_locks), (SELECT count(*) FROM pg_stat_activity) FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname WHERE e.extname = 'pg_stat_statements'"
	stop_server "$PART"
}

# reviews_per_second STATEMENT REVIEW: with the review as a parameter, each time anew.
reviews_per_second() {
	printf '%s;\n' "$1" >"$WORK/bench.sql"
	chmod 644 "$WORK/bench.sql"
	as_user "$BIN/pgbench" -n -h "$WORK/s" -p $PORT -U postgres -T 5 -M prepared -D "review=$2" -f "$WORK/bench.sql" postgres 2>/dev/null |
		sed -n 's/^tps = \([0-9]*\).*/\1/p'
}

measure_admission() {
	local allowed refused cast
	allowed=$(tr -d '\n' <"$SOURCE/test/bench/review.json")
	refused=${allowed/'"documentDBVersion": "0.113.0"'/'"documentDBVersion": "0.110.0"'}
	start_server "$PART" $PORT
	bench_psql -c "CREATE EXTENSION $EXTENSION"

	cast=$(reviews_per_second "SELECT :review::jsonb IS NULL" "$allowed")
	compare_review() { result "$1, an update of ${#allowed} bytes" "$(reviews_per_second "$2" "$3")" "per second" "a cast to jsonb" "$cast" "more than 2000" "o > 2000"; }
	compare_review "\`admission_review()\`, allowed" "SELECT $EXTENSION.admission_review(:review)" "$allowed"
	compare_review "\`admission_review()\`, refused" "SELECT $EXTENSION.admission_review(:review)" "$refused"
	compare_review "\`run_admission_review()\`, refused" "CALL $EXTENSION.run_admission_review(:review)" "$refused"
	stop_server "$PART"
}
