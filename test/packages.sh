# shellcheck shell=bash
# Finds PostgreSQL and what else the tests need; installs with apt what is
# missing, after saying so.  Sourced by lib.sh; the entry is need_packages.

# Real extensions that some tests upgrade.  Where one does not exist for the
# server's major version, those tests skip.
REAL_EXTENSIONS="hll tdigest periods cron pg-fact-loader powa unit"

# Libraries the build links, as pkg-config-name:package.
LIBRARIES="libcurl:libcurl4-openssl-dev libcjson:libcjson-dev libpq:libpq-dev libxxhash:libxxhash-dev"

has() { command -v "$1" >/dev/null 2>&1; }

# Runs a command as root, through sudo if need be.
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# True when as_root can work: root, or sudo that needs no terminal, or one
# that has a terminal to ask on.
can_be_root() { [ "$(id -u)" = 0 ] || { has sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }; }

# The directory with PostgreSQL's own test programs and Perl modules.
pg_test_dir() { echo "$(dirname "$("$1" --pgxs)")/../test"; }

# True when this pg_config belongs to a server of 15 or later that can build
# and test an extension.  Debian ships pgxs.mk, pg_regress and the Perl modules
# with the client: only the server's headers tell that its development package
# is there.
usable_pg_config() {
	[ -x "$1" ] && [ "$(pg_major "$1")" -ge 15 ] &&
		[ -x "$("$1" --bindir)/postgres" ] && [ -x "$("$1" --bindir)/initdb" ] &&
		[ -e "$("$1" --includedir-server)/postgres.h" ] && [ -e "$("$1" --pgxs)" ] && [ -e "$(pg_test_dir "$1")/perl/PostgreSQL/Test/Cluster.pm" ] &&
		[ -x "$(pg_test_dir "$1")/regress/pg_regress" ]
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

# The major version to install where none is complete: that of PG_CONFIG,
# else of the newest server here, else the suite's own; never below 15.
wanted_major() {
	local server major
	server=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)
	if [ -n "${PG_CONFIG:-}" ]; then
		major=$(pg_major "$PG_CONFIG")
	elif [ -x "$server" ]; then
		major=$(cut -d/ -f5 <<<"$server")
	else
		major=$(apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1)
	fi
	[ "${major:-0}" -ge 15 ] || major=15
	echo "$major"
}

# Prints the packages without which nothing can be built or tested.
missing_packages() {
	local library major
	has gcc || echo gcc
	[ -e /usr/include/stdio.h ] || echo libc6-dev
	has make || echo make
	has pkg-config || echo pkg-config
	perl -MIPC::Run -MTAP::Harness -MTest::More -e 1 2>/dev/null || echo libipc-run-perl
	perl -MIO::Socket::SSL -e 1 2>/dev/null || echo libio-socket-ssl-perl
	for library in $LIBRARIES; do
		pkg-config --exists "${library%%:*}" 2>/dev/null || echo "${library#*:}"
	done
	if ! find_postgres; then
		major=$(wanted_major)
		[ -x "/usr/lib/postgresql/$major/bin/postgres" ] || echo "postgresql-$major"
		echo "postgresql-server-dev-$major"
	fi
}

# Prints the packages of real extensions that apt offers for the server found,
# where that is one of Debian's, and that are not installed yet.
missing_real_extensions() {
	local name package
	case $("$PG_CONFIG" --bindir) in /usr/lib/postgresql/*) ;; *) return ;; esac
	for name in $REAL_EXTENSIONS; do
		package="postgresql-$PG_MAJOR-$name"
		[ -z "$(not_installed "$package")" ] ||
			[ -z "$(apt-cache madison "$package" 2>/dev/null)" ] || echo "$package"
	done
}

# Prints which of the packages named are not installed.
not_installed() {
	local package
	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || echo "$package"
	done
}

# Fetches apt's lists; what is known has to do when that fails.
update_lists() {
	echo "Updating the package lists (apt-get update)"
	as_root apt-get -qq update </dev/null || echo "apt-get update failed; trying with what is known" >&2
}

# Installs packages and upgrades none of those here: a new server would restart
# the clusters of the old one.
apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
		apt-get -qq -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 install -y --no-install-recommends --no-upgrade \
		"$@" >"$APT_LOG" 2>&1 </dev/null ||
		{ tail -n 30 "$APT_LOG" >&2; return 1; }
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

# Makes sure that what the build and every test need is there, or says what is
# not and fails.
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
	fi
	find_postgres || fail "no usable PostgreSQL (15 or later, with server headers and test programs) here"
}

# Installs real extensions as far as that is possible; no failure else.
want_real_extensions() {
	local -a missing
	has apt-get || return 0
	mapfile -t missing < <(missing_real_extensions)
	[ ${#missing[@]} -gt 0 ] || return 0
	if can_be_root; then
		echo "Installing with apt, for tests on real extensions:" "${missing[@]}"
		apt_install "${missing[@]}" || echo "Could not install them; tests that want them skip."
	else
		echo "Not installed, for lack of root and sudo; tests that want them skip:" "${missing[@]}"
	fi
}

need_packages() {
	APT_LOG=$(mktemp)
	need_required_packages
	want_real_extensions
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
