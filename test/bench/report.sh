# shellcheck shell=bash
# What test/bench/run makes of what was measured: lines on the screen, one table and
# the plots.  They are kept in KEPT, by part, so that a part can be measured again by
# itself:
#
#   PART.results  a result in each line: what, ours, unit, peer, theirs, goal, verdict
#   PART.points   a point of a plot in each line: plot, curve, x, y
#   PART.load     when it ran, and the load before and after
KEPT="$SOURCE/tmp_check/bench"

# The order of the table.
ALL_PARTS="update rehearsal calls stall worker answers load admission fleet databases checksum parity memory"

# result WHAT OURS UNIT [PEER THEIRS [GOAL CONDITION]]: notes and shows one.  The
# condition is awk's, of o and t: ours and theirs.
result() {
	local verdict=
	[ -z "${7:-}" ] || verdict=$(awk -v o="$2" -v t="${5:-}" "BEGIN { print ($7) ? \"met\" : \"missed\" }")
	note_result "$1" "$2" "$3" "${4:-}" "${5:-}" "${6:-}" "$verdict"
}

# note_result WHAT OURS UNIT PEER THEIRS GOAL VERDICT
note_result() {
	local IFS=$'\t'
	printf '%s\n' "$*" | as_user tee -a "$PARTS_OUT/$PART.results" | format screen
}

# format screen | table: makes lines for people of results.
format() {
	awk -F '\t' -v mode="$1" '
		function number(x) {
			if (x == "" || x + 0 == 0) return x
			size = x < 0 ? -x : x
			shape = (size >= 100 || x == int(x)) ? "%.0f" : (size >= 10) ? "%.1f" : (size >= 1) ? "%.2f" : "%.3f"
			return sprintf(shape, x)
		}
		{
			with = ratio = ""
			if ($4 != "") {
				with = $4 ": " number($5) " " $3
				if ($5 > 0) ratio = number($2 / $5)
			}
			goal = $6 == "" ? "" : $6 ": " $7
			if (mode == "table")
				printf "| %s | %s %s | %s | %s | %s |\n", $1, number($2), $3, with, ratio, goal
			else
				printf "%-56s %9s %s%s%s%s\n", $1, number($2), $3, with == "" ? "" : "; " with, ratio == "" ? "" : " (" ratio " x)",
					goal == "" ? "" : "; goal " goal
			fflush()
		}'
}

# begin_part PART
begin_part() {
	PART=$1
	as_user rm -f "$PARTS_OUT/$PART".*
	LOAD_BEFORE=$(cut -d ' ' -f 1 /proc/loadavg)
	heading "$PART"
}

# What is kept of a part is replaced when it has come to its end.
end_part() {
	printf '%s\t%s\t%s\n' "$(date +%F)" "$LOAD_BEFORE" "$(cut -d ' ' -f 1 /proc/loadavg)" | as_user tee "$PARTS_OUT/$PART.load" >/dev/null
	mkdir -p "$KEPT" && rm -f "$KEPT/$PART".* && cp "$PARTS_OUT/$PART".* "$KEPT/" || fail "could not write to $KEPT"
	as_root chown -R --reference="$SOURCE" "$SOURCE/tmp_check"
}

# take_notes: what a script in Perl says (see DocumentdbUpgrade::Bench), on standard input.
take_notes() {
	local line
	local -a fields
	while IFS= read -r line; do
		case $line in
			'# result: '*)
				# A tab is white space to read: neighbours would count as one.
				mapfile -t fields < <(tr '\t' '\n' <<<"${line#\# result: }")
				note_result "${fields[@]}"
				;;
			'# point: '*) printf '%s\n' "${line#\# point: }" | as_user tee -a "$PARTS_OUT/$PART.points" >/dev/null ;;
			*) printf '%s\n' "$line" >>"$OUT/bench.out" ;;
		esac
	done
}

# measure_script SCRIPT ARGUMENT...: in its own servers, as in the tests.
measure_script() {
	local script=test/bench/$1
	shift
	tap_perl "$script" "$@" 2>"$OUT/bench.err" | take_notes
	[ "${PIPESTATUS[0]}" = 0 ] || { tail -n 10 "$OUT/bench.out" "$OUT/bench.err" "$WORK"/tap/tmp_check/log/regress_log_*; fail "$script did not come to its end"; }
}

table() {
	local part
	printf '| | what | this extension | compared with | ratio | goal |\n|---|---|---|---|---|---|\n'
	for part in $ALL_PARTS; do
		[ ! -e "$KEPT/$part.results" ] || format table <"$KEPT/$part.results" | sed "s/^/| $part /"
	done
	printf '\nPostgreSQL %s, %d cores. Load of the machine before and after each part:' "$(server_release)" "$(nproc)"
	for part in $ALL_PARTS; do
		[ ! -e "$KEPT/$part.load" ] || awk -F '\t' -v part="$part" '{ printf " %s %s to %s,", part, $2, $3 }' "$KEPT/$part.load"
	done | sed 's/,$/./'
	echo
}

server_release() { "$BIN/postgres" --version | sed 's/^postgres (PostgreSQL) \([^ ]*\).*/\1/'; }

# draw_plots DIRECTORY: those whose points are there.
draw_plots() {
	local name curve points="$WORK/points"
	rm -rf "$points" && mkdir "$points"
	cat "$KEPT"/*.points 2>/dev/null | while IFS=$'\t' read -r name curve x y; do
		mkdir -p "$points/$name" && printf '%s %s\n' "$x" "$y" >>"$points/$name/$curve"
	done
	for name in "$points"/*/; do
		name=$(basename "$name")
		[ -e "$SOURCE/test/bench/plots/$name.gp" ] || continue
		(cd "$points/$name" && gnuplot -e "set output '$1/bench-$name.svg'" "$SOURCE/test/bench/plots/style.gp" \
			"$SOURCE/test/bench/plots/$name.gp") || fail "could not draw $name"
	done
}

# Writes the table and the plots, and with INTO=docs those of the documentation.
write_report() {
	local page="$SOURCE/docs/benchmarks.md" written
	table >"$KEPT/table.md" && draw_plots "$KEPT" || fail "could not write to $KEPT"
	written="$KEPT/table.md, plots beside it"
	if [ "${INTO:-}" = docs ]; then
		sed -n '1,/^<!-- table -->$/p' "$page" >"$WORK/page" && cat "$KEPT/table.md" >>"$WORK/page" &&
			sed -n '/^<!-- end of table -->$/,$p' "$page" >>"$WORK/page" && cp "$WORK/page" "$page" &&
			cp "$KEPT"/bench-*.svg "$SOURCE/docs/images/" || fail "could not write to docs"
		written+="; docs/benchmarks.md and docs/images too"
	fi
	as_root chown -R --reference="$SOURCE" "$SOURCE/tmp_check"
	printf '\nWritten: %s\n' "$written"
}
