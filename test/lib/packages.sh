# shellcheck shell=bash
# Finds PostgreSQL and what else the tests need; installs with apt what is
# missing, after saying so.  Sourced by setup.sh; the entry is need_packages.

# Real extensions that some tests upgrade.  Where one does not exist for the
# server's major version, those tests skip.
REAL_EXTENSIONS="hll tdigest periods cron pg-fact-loader powa unit rum"

# Libraries of the build, as pkg-config-name:header:package.
LIBRARIES="libcurl:curl/curl.h:libcurl4-openssl-dev libcjson:cjson/cJSON.h:libcjson-dev
	libpq:libpq-fe.h:libpq-dev libxxhash:xxhash.h:libxxhash-dev"

# What is to be provided: "run" for a build and a server, "modules" for PostgreSQL's
# own test modules too, "test" for all that tests take.
NEEDS=test

has() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root, through sudo if need be.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# True when as_root can work: root, or sudo that needs no terminal, or one
# that has a terminal to ask on.
can_be_root() { [ "$(id -u)" = 0 ] || { has sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }; }

# The directory with PostgreSQL's own test programs and Perl modules.
pg_test_dir() { echo "$(dirname "$("$1" --pgxs)")/../test"; }

# links OPTION...: true when the C program on standard input becomes a shared
# library.
links() {
	local out status
	out=$(mktemp) || return
	gcc -x c - -shared -fPIC -o "$out" "$@" 2>/dev/null
	status=$?
	rm -f "$out"
	return $status
}

has_compiler() { echo '#include <stdio.h>' | links; }

# has_library NAME HEADER: true when it can be included and linked.
has_library() {
	local options
	options=$(pkg-config --cflags --libs "$1" 2>/dev/null) || return
	# shellcheck disable=SC2086
	echo "#include <$2>" | links -xnone $options
}

# The release of the server headers that a pg_config names, as a number like
# 150004, when a compiler finds all that they include.
header_version() {
	printf '%s\n' '#include "postgres.h"' '#include "fmgr.h"' 'PG_VERSION_NUM' |
		gcc -E -P -x c -I "$("$1" --includedir-server)" - 2>/dev/null | sed -n '$s/^\([0-9]*\)$/\1/p'
}

# The release of the server that a pg_config names, written as header_version does.
server_version() {
	"$("$1" --bindir)/postgres" --version 2>/dev/null |
		sed -n 's/^postgres (PostgreSQL) \([0-9]*\)[^0-9 ]*\([0-9]*\).*/\1 \2/p' | {
		read -r major minor && echo $((major * 10000 + ${minor:-0}))
	}
}

# serves PG_CONFIG MAJOR: true when its server's programs run, and are of that major.
serves() {
	local version program bindir
	version=$(server_version "$1")
	[ "$((${version:-0} / 10000))" = "$2" ] || return
	bindir=$("$1" --bindir)
	for program in initdb pg_ctl psql pg_dump pg_basebackup pgbench; do
		"$bindir/$program" --version >/dev/null 2>&1 || return
	done
}

# builds PG_CONFIG MAJOR: true when an extension for that major can be compiled.
# Debian ships pgxs.mk and pg_config with the client: only the headers tell.
builds() {
	local version
	version=$(header_version "$1")
	[ "$((${version:-0} / 10000))" = "$2" ] && [ -e "$("$1" --pgxs)" ]
}

# tests PG_CONFIG: true when PostgreSQL's own test programs run and its Perl
# modules load.
tests() {
	local dir
	dir=$(pg_test_dir "$1")
	"$dir/regress/pg_regress" --version >/dev/null 2>&1 &&
		"$dir/isolation/pg_isolation_regress" --version >/dev/null 2>&1 &&
		perl -I "$dir/perl" -MPostgreSQL::Test::Cluster -ce 1 >/dev/null 2>&1
}

has_perl_modules() {
	perl -MIPC::Run -MTAP::Harness -MTest::More -MJSON::PP -MHTTP::Tiny -MTime::HiRes -e 1 2>/dev/null
}

has_lua() {
	local name
	for name in lua5.1 lua luajit lua5.3 lua5.4; do ! "$name" -v >/dev/null 2>&1 || return 0; done
	return 1
}

# True when this pg_config is of a server of 15 or later that runs here and that
# an extension can be built for, and tested if that is needed.  Within a major
# the interface for extensions is kept, so server and headers may be of
# different minor releases.
usable_pg_config() {
	local major
	has "$1" || return
	major=$(pg_major "$1")
	[ "$major" -ge 15 ] && serves "$1" "$major" && builds "$1" "$major" && { [ "$NEEDS" = run ] || tests "$1"; }
}

# The major version of a pg_config, 0 when it does not say.
pg_major() {
	local major
	major=$("$1" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
	echo "${major:-0}"
}

# Sets PG_CONFIG and PG_MAJOR to an installation that will do: the one asked
# for, or the first found, newest first.
find_postgres() {
	local candidate
	local -a candidates
	if [ -n "${PG_CONFIG:-}" ]; then
		candidates=("$(command -v "$PG_CONFIG")")
	else
		mapfile -t candidates < <(
			command -v pg_config
			printf '%s\n' /usr/lib/postgresql/*/bin/pg_config /usr/pgsql-*/bin/pg_config \
				/usr/local/pgsql/bin/pg_config | sort -Vr)
	fi
	for candidate in "${candidates[@]}"; do
		usable_pg_config "$candidate" || continue
		PG_CONFIG=$candidate
		PG_MAJOR=$(pg_major "$candidate")
		return 0
	done
	return 1
}

# The major versions that may be installed or completed here, best first: that of
# PG_CONFIG alone, else of the servers here, of the headers here, and the
# release's own; none below 15.
possible_majors() {
	if [ -n "${PG_CONFIG:-}" ]; then
		pg_major "$PG_CONFIG"
	else
		printf '%s\n' /usr/lib/postgresql/*/bin/postgres | cut -d/ -f5 | sort -rV
		printf '%s\n' /usr/include/postgresql/*/server | cut -d/ -f5 | sort -rV
		apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p'
	fi | awk '/^[0-9]+$/ && $1 >= 15 && !seen[$1]++'
}

# True when apt can install all of the packages.  grep reads to the end here: a
# pipe that is closed early counts as a failure.
apt_offers() {
	local package
	for package; do
		apt-cache policy "${package%%=*}" 2>/dev/null | grep '^  Candidate: [^(]' >/dev/null || return
	done
}

# The package with the headers for a server of that major, in the version of the
# server where apt has it: a newer one would not wait for the server's upgrade.
headers_package() {
	local package="postgresql-server-dev-$1" version
	version=$(dpkg-query -W -f '${Version}' "postgresql-$1" 2>/dev/null)
	if [ -n "$version" ] && apt-cache madison "$package" 2>/dev/null | grep -F "| $version |" >/dev/null; then
		package+="=$version"
	fi
	echo "$package"
}

# Prints the packages that a major version lacks.  Without a compiler nobody can
# tell whether headers are complete: then dpkg's word has to do.
missing_of_major() {
	local config="/usr/lib/postgresql/$1/bin/pg_config" server=no headers=no
	! has "$config" || ! serves "$config" "$1" || server=yes
	if has_compiler; then
		! has "$config" || ! builds "$config" "$1" || headers=yes
	else
		[ -n "$(not_installed "postgresql-server-dev-$1")" ] || headers=yes
	fi
	[ "$server" = yes ] || echo "postgresql-$1"
	[ "$headers" = yes ] || headers_package "$1"
}

# Prints the packages of PostgreSQL itself: of the first possible major that apt can
# complete, for a server may have stayed behind when Debian was upgraded.
missing_postgres() {
	local major first=
	local -a missing
	for major in $(possible_majors); do
		mapfile -t missing < <(missing_of_major "$major")
		[ ${#missing[@]} -gt 0 ] || return
		[ -n "$first" ] || first="${missing[*]}"
		! apt_offers "${missing[@]}" || { printf '%s\n' "${missing[@]}"; return; }
	done
	# shellcheck disable=SC2086
	printf '%s\n' ${first:-postgresql-15 postgresql-server-dev-15}
}

# Prints the packages without which nothing can be built, or tested.
missing_packages() {
	local library name header package
	has_compiler || printf '%s\n' gcc libc6-dev
	make --version >/dev/null 2>&1 || echo make
	pkg-config --version >/dev/null 2>&1 || echo pkg-config
	for library in $LIBRARIES; do
		IFS=: read -r name header package <<<"$library"
		has_library "$name" "$header" || echo "$package"
	done
	[ "$NEEDS" = run ] || has_perl_modules || printf '%s\n' perl libipc-run-perl
	if [ "$NEEDS" = test ]; then
		perl -MIO::Socket::SSL -MIO::Socket::SSL::Utils -e 1 2>/dev/null || echo libio-socket-ssl-perl
		nm --version >/dev/null 2>&1 && readelf --version >/dev/null 2>&1 || echo binutils
	fi
	find_postgres || missing_postgres
}

# Prints the packages that only some tests want, that apt offers and that are not
# here yet: a Lua interpreter, and real extensions where the server found is one
# of Debian's.
missing_extras() {
	local name package
	has_lua || ! apt_offers lua5.4 || echo lua5.4
	case $("$PG_CONFIG" --bindir) in /usr/lib/postgresql/*) ;; *) return ;; esac
	for name in $REAL_EXTENSIONS; do
		package="postgresql-$PG_MAJOR-$name"
		[ -z "$(not_installed "$package")" ] || ! apt_offers "$package" || echo "$package"
	done
}

# Prints which of the packages named are not installed.
not_installed() {
	local package
	for package; do
		[[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) = *" installed" ]] || echo "$package"
	done
}

# note_apt_line TOTAL LINE: takes what a line of apt-get tells into text and seen, or
# the line into APT_LOG.
note_apt_line() {
	local package step kind
	case $2 in
		dlstatus:*) text="${2##*:Retrieving }" && text="downloading: ${text/ (*}" ;;
		pmstatus:*)
			IFS=: read -r _ package _ step <<<"$2"
			case $step in
				Unpacking*) kind=unpacking ;;
				Configuring*) kind=configuring ;;
				*) return ;;
			esac
			seen[$kind]=$((${seen[$kind]:-0} + 1))
			text="$kind: package ${seen[$kind]} of $1 ($package)"
			;;
		*) printf '%s\n' "$2" >>"$APT_LOG" ;;
	esac
}

# apt_progress TOTAL: says every few seconds where apt-get is, from its status
# lines among the others on standard input.  A package can take a minute by itself:
# then the same is said again.
apt_progress() {
	local line part='' text='apt-get is at work' last=$SECONDS status
	local -A seen=()
	while true; do
		IFS= read -r -t 4 line
		status=$?
		if [ "$status" -gt 128 ]; then
			part+=$line			# time is up; this may be the beginning of a line
		elif [ "$status" = 0 ]; then
			note_apt_line "$1" "$part$line"
			part=
		else
			break
		fi
		[ $((SECONDS - last)) -ge 3 ] || continue
		last=$SECONDS
		echo "  $text"
	done
}

# Fetches apt's lists; what is known has to do when that fails.
update_lists() {
	echo "Updating the package lists (apt-get update)"
	as_root env LC_ALL=C apt-get -qq -o APT::Status-Fd=1 update 2>&1 </dev/null | apt_progress 0
	[ "${PIPESTATUS[0]}" = 0 ] || { tail -n 30 "$APT_LOG" >&2; echo "apt-get update failed; trying with what is known" >&2; }
}

# Installs packages and upgrades none of those here: a new server would restart
# the clusters of the old one.
apt_install() {
	local total status
	local -a command=(apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 install -y
		--no-install-recommends --no-upgrade "$@")
	total=$("${command[@]}" -s 2>/dev/null | grep -c '^Inst ')
	# Through sudo no other descriptor than these gets to apt-get.
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l LC_ALL=C \
		"${command[@]}" -o APT::Status-Fd=1 2>&1 </dev/null | apt_progress "$total"
	status=${PIPESTATUS[0]}
	[ "$status" = 0 ] || tail -n 30 "$APT_LOG" >&2
	return "$status"
}

# Installs packages so that a server among them creates and starts no cluster
# of its own: Debian's setting for that is changed for the time it takes.
apt_install_without_cluster() (
	conf=/etc/postgresql-common/createcluster.conf
	backup=$(mktemp)
	restore() { [ ! -s "$backup" ] || as_root cp -p "$backup" "$conf"; as_root rm -f "$backup"; }
	trap restore EXIT
	trap 'exit 130' INT TERM HUP

	[ -z "$(not_installed postgresql-common)" ] ||
		apt_install postgresql-common || exit 1
	if [ -e "$conf" ]; then
		echo "(no cluster is created: create_main_cluster is off in $conf until this is done)"
		as_root cp -p "$conf" "$backup"
		echo 'create_main_cluster = false' | as_root tee -a "$conf" >/dev/null
	fi
	apt_install "$@"
)

# need_programs NAME[:PACKAGE]...: installs those that a developer's command uses and
# that nothing else needs, or says which are missing and fails.
need_programs() {
	local word
	local -a missing=()
	for word; do has "${word%%:*}" || missing+=("${word##*:}"); done
	[ ${#missing[@]} -gt 0 ] || return 0
	can_be_root && has apt-get || fail "missing: ${missing[*]}"
	APT_LOG=$(mktemp)
	update_lists
	echo "Installing with apt: ${missing[*]}"
	apt_install "${missing[@]}" || fail "could not install: ${missing[*]}"
	rm -f "$APT_LOG"
}

# Makes sure that what is needed is there, or says what is not and fails.
need_required_packages() {
	local -a missing
	[ -z "${PG_CONFIG:-}" ] || has "$PG_CONFIG" || fail "PG_CONFIG is \"$PG_CONFIG\", and there is no such program"
	mapfile -t missing < <(missing_packages)
	if [ ${#missing[@]} -gt 0 ]; then
		has apt-get || fail "missing, and there is no apt-get here to install it (Debian's names):" "${missing[@]}"
		can_be_root || fail "missing, and neither root nor sudo is there to install it:" "${missing[@]}"
		update_lists
		mapfile -t missing < <(missing_packages)
		echo "Installing with apt:" "${missing[@]}"
		apt_install_without_cluster "${missing[@]}" || fail "could not install:" "${missing[@]}"
		mapfile -t missing < <(missing_packages)
		[ ${#missing[@]} = 0 ] || fail "installed, and still of no use here:" "${missing[@]}"
	fi
	find_postgres || fail "no usable PostgreSQL (15 or later, with server headers and test programs) here"
	note_minor_releases
}

# Server and headers of different minor releases are no obstacle, and the first
# thing to know when something goes wrong.
note_minor_releases() {
	local server headers
	server=$(server_version "$PG_CONFIG") headers=$(header_version "$PG_CONFIG")
	[ "$server" = "$headers" ] ||
		echo "(the server is $PG_MAJOR.$((server % 10000)), its headers are of $PG_MAJOR.$((headers % 10000)))"
}

# Installs what only some tests want as far as that is possible; no failure else.
want_extras() {
	local -a missing
	has apt-get || return 0
	mapfile -t missing < <(missing_extras)
	[ ${#missing[@]} -gt 0 ] || return 0
	if can_be_root; then
		echo "Installing with apt, for some tests:" "${missing[@]}"
		apt_install "${missing[@]}" || echo "Could not install them; tests that want them skip."
	else
		echo "Not installed, for lack of root and sudo; tests that want them skip:" "${missing[@]}"
	fi
}

need_packages() {
	APT_LOG=$(mktemp)
	need_required_packages
	[ "$NEEDS" != test ] || want_extras
}

# What a release of PostgreSQL before 15 is here for: to build parity/ and to
# run a server that is compared with another.
PARITY_PACKAGES="gcc libc6-dev make pkg-config libxxhash-dev"

# need_release MAJOR PACKAGE...: that PostgreSQL and those packages, and what the
# tests need; a release before 15 gets PARITY_PACKAGES instead.
need_release() {
	local major=$1
	local -a missing
	shift
	# shellcheck disable=SC2086
	[ "$major" -ge 15 ] || set -- "$@" $PARITY_PACKAGES
	APT_LOG=$(mktemp)
	mapfile -t missing < <(not_installed "postgresql-$major" "postgresql-server-dev-$major" "$@")
	if [ ${#missing[@]} -gt 0 ]; then
		update_lists
		echo "Installing with apt:" "${missing[@]}"
		apt_install_without_cluster "${missing[@]}" || fail "could not install:" "${missing[@]}"
	fi
	[ "$major" -lt 15 ] || need_packages
}
