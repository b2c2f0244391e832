# shellcheck shell=bash
# What test/check, test/demo and their kin share: an unprivileged user, a work
# directory that vanishes, a build of this tree, a private PostgreSQL
# installation that it goes into, and throw-away servers.  Nothing is written
# outside the work directory (and tmp_check/, for the logs of a failure).
#
# After prepare these are set:
#   PG_CONFIG, PG_MAJOR  the system's PostgreSQL
#   WORK                 the work directory; WORK/src is a copy of this tree,
#                        WORK/out holds the logs, WORK/s the sockets
#   PREFIX               root of the private installation, with
#   BIN, LIB, SHARE      its bindir, pkglibdir and sharedir
EXTENSION=documentdb_upgrade
SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# shellcheck source=test/lib/packages.sh
. "$SOURCE/test/lib/packages.sh"

fail() { echo "${0##*/}: $*" >&2; exit 1; }
# With the time since the start, in minutes and seconds.
heading() { printf '\n== %s [%d:%02d]\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }

# A surrounding session or make must not leak into the servers or the build.
clean_environment() {
	local name
	for name in ${!PG@}; do
		case $name in PG_CONFIG | PG_TEST_*) ;; *) unset "$name" ;; esac
	done
	# PostgreSQL's test modules take LC_ALL away again: then these would count.
	unset LANG LANGUAGE "${!LC_@}"
	# Nor does the pod that the tests may run in.
	unset "${!KUBERNETES_@}"
	unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES CDPATH
	export LC_ALL=C
	umask 022
}

# PostgreSQL refuses to run as root: picks who builds and runs instead.
choose_user() {
	RUN_AS=
	[ "$(id -u)" = 0 ] || return 0
	for RUN_AS in postgres nobody; do
		id -u "$RUN_AS" >/dev/null 2>&1 && return 0
	done
	fail "running as root, but there is neither a user postgres nor nobody to run PostgreSQL as"
}

# Runs a command as the unprivileged user.
as_user() {
	if [ -z "$RUN_AS" ]; then
		"$@"
	elif has setpriv; then
		setpriv --reuid="$RUN_AS" --regid="$(id -g "$RUN_AS")" --init-groups env HOME="$WORK" "$@"
	else
		runuser -u "$RUN_AS" -- env HOME="$WORK" "$@"
	fi
}

# Runs a long command as the unprivileged user in a process group of its own,
# so that an interrupt can end it and its children (see cleanup).
run() {
	local status
	set -m
	as_user "$@" </dev/null &
	CHILD=$!
	set +m
	wait "$CHILD"
	status=$?
	CHILD=
	return $status
}

# Prints /dev/shm where that has room for a run and programs may run there, and
# else /tmp.
default_work_parent() {
	local free memory
	free=$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)
	memory=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo 2>/dev/null)
	if [ "${free:-0}" -ge 8000000 ] && [ "${memory:-0}" -ge 8000000 ] &&
		! grep -q '^[^ ]* /dev/shm [^ ]* [^ ]*noexec' /proc/mounts; then
		echo /dev/shm
	else
		echo /tmp
	fi
}

# Creates the work directory, where the unprivileged user can reach it and
# socket paths stay short enough.
make_work_dir() {
	local parent
	for parent in "${TMPDIR:-$(default_work_parent)}" /tmp; do
		[ ${#parent} -le 40 ] || continue
		WORK=$(mktemp -d "$parent/du.XXXXXX") || continue
		[ -z "$RUN_AS" ] || chown "$RUN_AS:$(id -g "$RUN_AS")" "$WORK"
		as_user test -w "$WORK" && break
		rmdir "$WORK"
		WORK=
	done
	[ -n "$WORK" ] || fail "no directory for temporary files that the unprivileged user can reach"
	cd "$WORK" || exit 1
	as_user mkdir -p src out s tmp
	export TMPDIR="$WORK/tmp"
}

# The version that the control file names.
control_version() { sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" "$SOURCE/$EXTENSION.control"; }

# Prints this tree (what git knows and what is new, not what it ignores) as a tar
# archive.  A tree that only lies inside somebody else's repository is taken whole.
pack_source() {
	local list
	local -a git=(git -c "safe.directory=*" -C "$SOURCE")
	list=$(mktemp) || return
	if [ -z "$("${git[@]}" rev-parse --show-prefix 2>&1)" ] &&
		"${git[@]}" ls-files -z -co --exclude-standard >"$list" 2>/dev/null && [ -s "$list" ]; then
		(cd "$SOURCE" && while IFS= read -r -d '' file; do
			[ ! -e "$file" ] || printf '%s\0' "$file"
		done) <"$list" | tar -C "$SOURCE" --null --no-recursion -T - -cf -
	else
		tar -C "$SOURCE" --exclude-vcs --exclude='*.o' --exclude='*.so' --exclude='*.bc' \
			--exclude='./tmp_check' --exclude="./sql/$EXTENSION--$(control_version).sql" -cf - .
	fi
	local status=$?
	rm -f "$list"
	return $status
}

# Copies this tree to WORK/src.
copy_source() {
	pack_source | as_user tar -C "$WORK/src" --no-same-owner -xf - || fail "could not copy the source tree"
}

# Mirrors a directory of the system under PREFIX: directories are real, files
# are symbolic links, so whatever is installed there stays there.
mirror() {
	as_user mkdir -p "$PREFIX$1"
	as_user cp -rs "$1/." "$PREFIX$1/"
}

# Builds the private installation.  Programs are real copies, because a server
# finds its files relative to its own resolved path.
make_private_installation() {
	local bindir
	PREFIX="$WORK/root"
	bindir=$("$PG_CONFIG" --bindir)
	BIN="$PREFIX$bindir" LIB="$PREFIX$("$PG_CONFIG" --pkglibdir)" SHARE="$PREFIX$("$PG_CONFIG" --sharedir)"
	as_user mkdir -p "$BIN" &&
		as_user cp -RL "$bindir/." "$BIN/" &&
		mirror "$("$PG_CONFIG" --pkglibdir)" &&
		mirror "$("$PG_CONFIG" --sharedir)" || fail "could not copy the PostgreSQL installation"
	# A copy of this extension that the system may have is not the one to test.
	as_user rm -rf "$LIB/$EXTENSION"*.so "$SHARE/extension/$EXTENSION"[._-]* "$LIB/bitcode/$EXTENSION"*
	# What the server thinks counts: Debian's pg_config of 13 does not look.
	as_user "$BIN/initdb" --show -D "$WORK/none" 2>&1 | grep -xF "share_path=$SHARE" >/dev/null ||
		fail "this PostgreSQL cannot be relocated: its files are not looked for in $SHARE"
}

# Removes what the private installation has of extensions that test/fixtures
# stands in for: a real DocumentDB, say.
remove_namesakes() {
	local control
	find "$WORK/src/test/fixtures" -name '*.control' | while IFS= read -r control; do
		control=$(basename "$control" .control)
		as_user rm -f "$SHARE/extension/$control.control" "$SHARE/extension/$control--"*
	done
}

# build_progress: from what make prints, says every few seconds which file is
# compiled; the rest goes to OUT/build.log.
build_progress() {
	local line total count=0 now last=$SECONDS
	total=$(find "$WORK/src/src" -name '*.c' | wc -l)
	while IFS= read -r line; do
		[[ $line =~ \ -c\ .*src/([a-z_0-9/]+\.c) ]] || { printf '%s\n' "$line"; continue; }
		count=$((count + 1)) now=$SECONDS
		[ $((now - last)) -ge 3 ] || continue
		last=$now
		echo "  compiling: file $count of $total (${BASH_REMATCH[1]})" >&3
	done 3>&1 >"$OUT/build.log"
}

# build_in DIRECTORY: compiles there and installs into the private installation.
build_in() {
	local -a options=(PG_CONFIG="$PG_CONFIG" WERROR=1 with_llvm=no)
	run make -C "$1" -j"$(nproc)" "${options[@]}" &&
		run make -s -C "$1" install "${options[@]}" DESTDIR="$PREFIX"
}

# Compiles the copy into the private installation.  False when a step fails;
# OUT/build.log says why.
build_main() {
	local fd progress status
	exec {fd}> >(build_progress)
	progress=$!
	build_in "$WORK/src" >&"$fd" 2>&1
	status=$?
	exec {fd}>&-
	wait "$progress"
	return $status
}

# The same, and of the small extension of parity/.
build() { build_main && build_in "$WORK/src/parity" >>"$OUT/build.log" 2>&1; }

# Puts the extensions of test/fixtures into the private installation, like
# build.
install_fixtures() {
	if [ -e "$WORK/src/test/fixtures/Makefile" ]; then
		run make -s -C "$WORK/src/test/fixtures" install PG_CONFIG="$PG_CONFIG" with_llvm=no \
			DESTDIR="$PREFIX" >>"$OUT/build.log" 2>&1 || return 1
	fi
	if [ -d "$WORK/src/test/fixtures" ]; then
		remove_namesakes
		find "$WORK/src/test/fixtures" \( -name '*.control' -o -name '*--*.sql' \) -print0 |
			as_user xargs -0 -r cp --remove-destination -t "$SHARE/extension" || return 1
	fi
}

# put_extension_files FILE...: control files and scripts for every server, as a
# new package would bring them.
put_extension_files() { as_user cp --remove-destination -t "$SHARE/extension" "$@"; }

# Everything up to a private installation ready to build into.  With the path of a
# pg_config as argument that one is taken, and its packages as they are.
prepare() {
	trap cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	clean_environment
	if [ $# -gt 0 ]; then
		PG_CONFIG=$1 PG_MAJOR=$(pg_major "$1")
	else
		need_packages
	fi
	choose_user
	make_work_dir
	OUT="$WORK/out"
	copy_source
	make_private_installation
	echo "PostgreSQL: $("$PG_CONFIG" --version), tested in a private copy${RUN_AS:+ as user $RUN_AS}"
}

# tap_perl SCRIPT ARGUMENT...: Perl with PostgreSQL's own test modules and ours, on
# the private installation.
tap_perl() {
	local modules
	modules="$(pg_test_dir "$PG_CONFIG")"
	cd "$WORK/src" || exit 1
	as_user mkdir -p "$WORK/tap"
	run env PATH="$BIN:$PATH" PERL5LIB="$WORK/src/test/perl:$modules/perl" \
		PG_REGRESS="$(realpath "$modules/regress/pg_regress")" PG_TEST_PORT_DIR="$WORK/tap/ports" \
		top_builddir="$WORK/tap" TESTDIR="$WORK/tap" TESTDATADIR="$WORK/tap/tmp_check" \
		TESTLOGDIR="$WORK/tap/tmp_check/log" DU_PREFIX="$PREFIX" DU_SOURCE="$WORK/src" DU_TREE="$SOURCE" \
		perl "$@"
}

# start_helper OUTPUT SCRIPT: starts a Perl script beside us that writes to the
# file OUTPUT and stays while another exists.
start_helper() {
	as_user touch "$WORK/helper"
	(trap - EXIT && tap_perl "$2" "$WORK/helper" "$1") >"$OUT/helper.log" 2>&1 &
	HELPER=$!
}

# wait_for_helper OUTPUT: true when the output has come.
wait_for_helper() {
	while kill -0 "$HELPER" 2>/dev/null && [ ! -e "$1" ]; do sleep 0.1; done
	[ -e "$1" ]
}

# start_server NAME PORT [SETTING...]: initializes and starts a server on a
# socket in WORK/s; starts an existing one again when NAME is known.
start_server() {
	local name=$1 port=$2 data="$WORK/data-$1"
	shift 2
	if [ ! -e "$data" ]; then
		as_user "$BIN/initdb" -D "$data" -U postgres -A trust -E UTF8 --no-locale --no-sync >"$OUT/initdb-$name.log" 2>&1 ||
			{ cat "$OUT/initdb-$name.log" >&2; fail "could not initialize a server"; }
		printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$WORK/s'" "port = $port" \
			"fsync = off" "full_page_writes = off" "max_prepared_transactions = 10" \
			"$@" | as_user tee -a "$data/postgresql.conf" >/dev/null
	fi
	as_user "$BIN/pg_ctl" -D "$data" -l "$OUT/server-$name.log" -w -s start ||
		{ tail -n 30 "$OUT/server-$name.log" >&2; fail "could not start the server \"$name\""; }
}

stop_server() { as_user "$BIN/pg_ctl" -D "$WORK/data-$1" -m fast -w -s stop; }

# Ends every server that runs on a data directory of ours, by its pid.
stop_all_servers() {
	local file pid
	while IFS= read -r file; do
		pid=$(head -n 1 "$file" 2>/dev/null)
		case $(readlink "/proc/$pid/exe" 2>/dev/null) in "$WORK"/*) ;; *) continue ;; esac
		kill -QUIT "$pid" 2>/dev/null
		for _ in $(seq 100); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		! kill -0 "$pid" 2>/dev/null || kill -KILL "$pid"
	done < <(find "$WORK" -name postmaster.pid 2>/dev/null)
}

# Keeps the logs of a failed run in tmp_check/ of the tree, or beside the work
# directory where the tree cannot be written.
keep_logs() {
	local kept="$SOURCE/tmp_check${DU_LOGS:+/$DU_LOGS}"
	rm -rf "$kept" 2>/dev/null
	mkdir -p "$kept" 2>/dev/null || kept=$(mktemp -d "$(dirname "$WORK")/$EXTENSION-logs.XXXXXX")
	cp -r "$OUT/." "$kept/" && echo "Logs kept in $kept"
}

# Leaves nothing behind: children, servers, files.
cleanup() {
	local status=$?
	trap - EXIT INT TERM HUP
	[ -z "${HELPER:-}" ] || { rm -f "$WORK/helper" && wait "$HELPER"; } 2>/dev/null
	[ -z "${CHILD:-}" ] || { kill -TERM -- "-$CHILD" && wait "$CHILD"; } 2>/dev/null
	cd / || exit 1
	rm -f "${APT_LOG:-}"
	if [ -n "${WORK:-}" ]; then
		stop_all_servers
		[ "$status" = 0 ] || [ "$status" -ge 128 ] || keep_logs
		rm -rf "$WORK"
	fi
	exit "$status"
}
