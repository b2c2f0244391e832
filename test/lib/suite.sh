# shellcheck shell=bash
# What test/check and test/documentdb/run share beyond setup.sh: choosing tests,
# running TAP files, counting, and the last line.  Sourced after setup.sh.

PASSED=0 FAILED=0 SKIPPED=0

# What a TAP file takes of a core that nobody else uses.
TAP_FILE_SECONDS=19

ok() { PASSED=$((PASSED + 1)); echo "ok      $*"; }
not_ok() { FAILED=$((FAILED + 1)); echo "not ok  $*"; }

# selected NAME: true when this test is to run.
selected() {
	[ -n "${TESTS:-}" ] || return 0
	local name
	for name in $TESTS; do
		name=${name##*/}
		[ "${name%.*}" != "$1" ] || return 0
	done
	return 1
}

# select_files GLOB: prints the names, without directory and ending, of the
# tests to run.
select_files() {
	local file name
	for file in $1; do
		name=${file##*/}
		name=${name%.*}
		[ ! -e "$file" ] || ! selected "$name" || echo "$name"
	done
}

# What tries things by chance comes last: on a slow day the time can be up before.
BY_CHANCE='/(fuzz|checksum_properties|parity_seeded_changes|stories)\.pl$'

# select_tap DIRECTORY: prints the TAP files below it that are to run.
select_tap() {
	local file name
	(cd "$WORK/src" && find "$1" -name '*.pl' | LC_ALL=C sort | awk -v last="$BY_CHANCE" \
		'$0 ~ last { kept[n++] = $0; next } { print } END { for (i = 0; i < n; i++) print kept[i] }') |
		while IFS= read -r file; do
			name=${file##*/}
			! selected "${name%.pl}" || echo "$file"
		done
}

# The data directory that servers of TAP files are copied from (see Node.pm).  Their
# queries over catalogues are estimated to be dear and run once: what compiling them takes
# is more than they do.
make_template() {
	[ -z "${PG_TEST_INITDB_EXTRA_OPTS:-}" ] && [ ! -e "$WORK/template" ] || return 0
	as_user "$BIN/initdb" -D "$WORK/template" -A trust -E UTF8 --no-locale -N >"$OUT/initdb-template.log" 2>&1 ||
		{ cat "$OUT/initdb-template.log" >&2; fail "could not initialize a server"; }
	echo 'jit = off' | as_user tee -a "$WORK/template/postgresql.conf" >/dev/null
	export DU_TEMPLATE="$WORK/template"
}

# run_tap DIRECTORY: its TAP files under PostgreSQL's own modules and the private
# installation.
run_tap() {
	local -a files
	local jobs passed=0 failed=1 skipped=0 tap="$OUT/tap"
	mapfile -t files < <(select_tap "$1")
	[ ${#files[@]} -gt 0 ] || return 0
	# They wait for one another, and for time limits, about a third of the time.
	jobs=${JOBS:-$(($(nproc) + 1))}
	heading "TAP: ${#files[@]} files, $jobs at a time, on servers of their own: about $((${#files[@]} * TAP_FILE_SECONDS / jobs / 60 + 1)) min"
	as_user mkdir -p "$tap"
	make_template
	# A busy machine may be slow to come to what is waited for.
	export PG_TEST_TIMEOUT_DEFAULT=${PG_TEST_TIMEOUT_DEFAULT:-600} PGCTLTIMEOUT=${PGCTLTIMEOUT:-600}
	[ "${CHECK_TAP_MINUTES:-0}" = 0 ] || export DU_TAP_UNTIL=$(($(date +%s) - SECONDS + CHECK_TAP_MINUTES * 60))
	tap_perl test/perl/run_tap.pl "$jobs" "$tap/counts" "${files[@]}" 2>&1
	[ ! -e "$tap/counts" ] || read -r passed failed skipped <"$tap/counts"
	PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed)) SKIPPED=$((SKIPPED + skipped))
	[ "$failed" = 0 ] || cp -r "$WORK/tap/tmp_check/log" "$tap/"
}

# What the logs say of servers that died of a fault of their own, each with the lines
# that follow: a failed assertion, a report of a sanitizer, a signal that no test sends.
faults() {
	find "$OUT" "$WORK/tap/tmp_check/log" -name '*.log' ! -name 'build.log' -exec grep -H -A 40 -E \
		'TRAP: |(Address|UndefinedBehavior)Sanitizer|: runtime error: |PANIC: |was terminated by signal (4|6|7|8|11):' {} + 2>/dev/null |
		sed "s,^$WORK/,," | head -n 400
}

# The last line, and the exit status.
summarize() {
	local skipped=
	[ "$SKIPPED" = 0 ] || skipped=", $SKIPPED skipped"
	printf '\n%s\n' "$PASSED passed, $FAILED failed$skipped"
	[ "$FAILED" = 0 ] && [ "$PASSED" -gt 0 ]
	exit
}
