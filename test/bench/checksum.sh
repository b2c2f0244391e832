# shellcheck shell=bash
# The checksum of a table against other ways to read all of it, for test/bench/run.

CHECKSUM_ROWS=${CHECKSUM_ROWS:-5000000}
CHECKSUM_ROUNDS=${CHECKSUM_ROUNDS:-5}
CHECKSUM_MEMORY_ROWS=${CHECKSUM_MEMORY_ROWS:-"1000000 50000000"}

BY_COLUMN="SELECT $EXTENSION.columns_checksum(NULL::facts, id, k, n, at, amount, name, status, flag, r) FROM facts"
BY_ROW="SELECT $EXTENSION.row_checksum(t.*) FROM facts t"

# time_query ROUNDS STATEMENT [SETTING...]: the median in milliseconds.
time_query() {
	local rounds=$1 statement=$2 setting
	shift 2
	{
		echo "SET max_parallel_workers_per_gather = 0; SET jit = off;"
		for setting in "$@"; do echo "SET $setting;"; done
		echo "\\timing on"
		for _ in $(seq "$rounds"); do echo "$statement \\g /dev/null"; done
	} | bench_psql -f - | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n "$rounds" | median
}

# time_dump: the same of what pg_dump writes and sha256sum reads.
time_dump() {
	local start
	start=$(date +%s%3N)
	as_user "$BIN/pg_dump" -h "$WORK/s" -p $PORT -U postgres -t facts postgres | sha256sum >/dev/null
	echo $(($(date +%s%3N) - start))
}

# parallel_ratios WORKERS: how many times as fast they are, round by round.
parallel_ratios() {
	local serial
	for _ in $(seq "$CHECKSUM_ROUNDS"); do
		serial=$(time_query 1 "$BY_COLUMN")
		time_query 1 "$BY_COLUMN" "max_parallel_workers_per_gather = $1" "parallel_leader_participation = off" \
			"parallel_setup_cost = 0" "parallel_tuple_cost = 0" | awk -v s="$serial" '{ print s / $1 }'
	done
}

# The most memory, in kB, that a session has had after hashing so many rows
# that come and go.
checksum_memory() {
	bench_psql -At <<-EOF | tail -n 1
		SET jit = off;
		SELECT $EXTENSION.row_checksum(s) FROM (
			SELECT generate_series(1, $1) AS id, 'some name' AS name, ARRAY[1, 2, 3] AS list, 1.5 AS n, '{"a": 1}'::jsonb AS doc) s;
		SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)');
	EOF
}

measure_checksum() {
	local ours count rows workers size table
	start_server checksum $PORT "autovacuum = off" "max_wal_size = 4GB"
	bench_psql -c "CREATE EXTENSION $EXTENSION" -c "CREATE TABLE facts AS
		SELECT i::bigint AS id, i::bigint * 7919 % 100000 AS k, i % 1000 AS n, '2026-01-01 00:00+00'::timestamptz + i * interval '1 s' AS at,
			(i * 0.01)::numeric(12, 2) AS amount, md5(i::text) AS name, 'status ' || i % 10 AS status, i % 2 = 0 AS flag, random() AS r
		FROM generate_series(1, $CHECKSUM_ROWS) i" -c "VACUUM ANALYZE facts" -c "CHECKPOINT"
	size=$(bench_psql -At -c "SELECT pg_size_pretty(pg_relation_size('facts'))")
	table="$CHECKSUM_ROWS rows, $size"

	count=$(time_query "$CHECKSUM_ROUNDS" "SELECT count(*) FROM facts")
	ours=$(time_query "$CHECKSUM_ROUNDS" "$BY_COLUMN")
	result "\`row_checksum()\`, $table" "$(time_query "$CHECKSUM_ROUNDS" "$BY_ROW")" ms "\`count(*)\`" "$count" "at most 4 x" "o <= 4 * t"
	against() { result "\`columns_checksum()\`, $table" "$ours" ms "$@"; }
	against "\`count(*)\`" "$count" "at most 4 x" "o <= 4 * t"
	against "a whole row, and nothing done with it: \`count(t)\`" "$(time_query "$CHECKSUM_ROUNDS" "SELECT count(t.*) FROM facts t")"
	against "\`sum(hash_record_extended(t, 0))\`" "$(time_query "$CHECKSUM_ROUNDS" "SELECT sum(hash_record_extended(t.*, 0)) FROM facts t")" "at most 1 x" "o <= t"
	# Only the second of these two can be compared with another server's.
	against "\`md5(string_agg(t::text, ''))\`" "$(time_query 2 "SELECT md5(string_agg(t::text, '')) FROM facts t")"
	against "\`md5(string_agg(t::text, '' ORDER BY id))\`" "$(time_query 1 "SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM facts t")" "a 15th" "15 * o <= t"
	against "\`pg_dump \\| sha256sum\`" "$(time_dump)" "a 6th" "6 * o <= t"
	for workers in 1 2; do
		result "parallel workers, times as fast as one process: $workers" "$(parallel_ratios "$workers" | median)" x
	done
	for rows in $CHECKSUM_MEMORY_ROWS; do
		result "most memory of a session that hashes $rows rows" "$(checksum_memory "$rows")" kB
	done
	stop_server checksum
}
