# shellcheck shell=bash
# Clients of a server with the library, its worker and nothing to do, against clients of
# one without, for test/bench/run.

# children_cpu SERVER: processor time, in clock ticks, of its sessions so far.
children_cpu() {
	sed 's/^.*) //' "/proc/$(head -n 1 "$WORK/data-$1/postmaster.pid")/stat" | awk '{ print $14 + $15 }'
}

# load SERVER PORT: one client that reads; notes transactions per second, and
# per second of the session's processor time, which other work disturbs less.
load() {
	local before count=$((LOAD_SECONDS * 10000)) tps
	before=$(children_cpu "$1")
	tps=$(as_user "$BIN/pgbench" -n -h "$WORK/s" -p "$2" -U postgres -t "$count" -c 1 -M prepared -S postgres 2>/dev/null |
		sed -n 's/^tps = \([0-9.]*\).*/\1/p')
	echo "$tps" >>"$WORK/tps.$1"
	sleep 0.5 # until the session has ended
	awk -v n="$count" -v b="$before" -v a="$(children_cpu "$1")" -v t="$(getconf CLK_TCK)" \
		'BEGIN { print n * t / (a - b) }' >>"$WORK/cpu.$1"
}

# ratio WHAT SERVER: median of the ratios to the first server, round by round.
ratio() { paste "$WORK/$1.$2" "$WORK/$1.plain" | awk '{ print $1 / $2 }' | median; }

# report_load WHAT UNIT
report_load() {
	local with
	with=$(ratio "$1" preloaded)
	result "\`pgbench -S\` $2, medians of $LOAD_ROUNDS" "$(median <"$WORK/$1.preloaded")" "transactions" "without the library" \
		"$(median <"$WORK/$1.plain")"
	result "the same, median of the ratios round by round" "$with" "x" "noise: two servers without it" "$(ratio "$1" again)" "at least 0.99" "o >= 0.99"
}

# Three servers in turns: without the library, with it and its worker, and one
# more without, which shows how much of a difference is noise.
measure_load() {
	local round order server
	local -A port=([plain]=5434 [preloaded]=5435 [again]=5436)
	start_server plain 5434 "autovacuum = off"
	start_server preloaded 5435 "autovacuum = off" "shared_preload_libraries = '$EXTENSION'" "$EXTENSION.extension = 'pg_stat_statements'"
	start_server again 5436 "autovacuum = off"
	for server in plain preloaded again; do
		as_user "$BIN/pgbench" -i -q -s 5 -h "$WORK/s" -p "${port[$server]}" -U postgres postgres >/dev/null 2>&1
		as_user "$BIN/psql" -X -q -h "$WORK/s" -p "${port[$server]}" -U postgres -d postgres -c "CREATE EXTENSION pg_stat_statements" \
			-c "CREATE EXTENSION $EXTENSION" -c "VACUUM ANALYZE" -c "CHECKPOINT"
		load $server "${port[$server]}"
		rm "$WORK/tps.$server" "$WORK/cpu.$server"
	done
	for round in $(seq "$LOAD_ROUNDS"); do
		# Each is first, second and last equally often.
		case $((round % 3)) in 0) order="plain preloaded again" ;; 1) order="preloaded again plain" ;; *) order="again plain preloaded" ;; esac
		for server in $order; do load "$server" "${port[$server]}"; done
	done
	report_load tps "per second"
	report_load cpu "per second of processor time"
	for server in plain preloaded again; do stop_server "$server"; done
}
