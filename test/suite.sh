# shellcheck shell=bash
# What test/check and test/documentdb/run share beyond lib.sh: choosing tests,
# running TAP files, counting, and the last line.  Sourced after lib.sh.

PASSED=0 FAILED=0 SKIPPED=0

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

# run_tap DIRECTORY: its TAP files under PostgreSQL's own modules and the private
# installation.
run_tap() {
	local -a names files
	local passed=0 failed=1 skipped=0 tap="$OUT/tap"
	mapfile -t names < <(select_files "$WORK/src/$1/*.pl")
	[ ${#names[@]} -gt 0 ] || return 0
	files=("${names[@]/#/$1/}")
	heading "TAP"
	as_user mkdir -p "$tap"
	tap_perl test/perl/run_tap.pl "${JOBS:-2}" "$tap/counts" "${files[@]/%/.pl}" 2>&1
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
