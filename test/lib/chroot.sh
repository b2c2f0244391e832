# shellcheck shell=bash
# Debian systems of other releases, to test in: made once with mmdebstrap and
# kept in a cache outside the tree.  Sourced after setup.sh.
#
# What runs in one has mounts, processes and shared memory of its own, which
# end with it, whatever ends it: nothing is ever mounted outside.  The tree is
# seen there as /mnt, and /tmp is a directory that vanishes.
#
#   CHROOT_CACHE   where they are kept: by default /var/cache/documentdb_upgrade
#                  for root, else ~/.cache/documentdb_upgrade

DEBIAN_KEYS=/usr/share/keyrings/debian-archive-keyring.gpg

# Debian's releases by their PostgreSQL.
declare -A SUITES=([13]=bullseye [15]=bookworm [17]=trixie [18]=forky)

# What is installed there beyond the tests' needs.
declare -A MORE_PACKAGES=([18]=postgresql-18-documentdb)

chroot_cache() {
	if [ -n "${CHROOT_CACHE:-}" ]; then
		echo "$CHROOT_CACHE"
	elif [ "$(id -u)" = 0 ]; then
		echo "/var/cache/$EXTENSION"
	else
		echo "${XDG_CACHE_HOME:-$HOME/.cache}/$EXTENSION"
	fi
}

# What is run first in the new namespaces: arguments are the chroot, the tree,
# the directory for /tmp, that of a layer above the chroot or "", and the command.
# shellcheck disable=SC2016
ENTER_CHROOT='
	root=$1 tree=$2 tmp=$3 layer=$4
	shift 4
	if [ -n "$layer" ]; then
		# Nobody wants it after a crash, so it need not be synced.
		options="lowerdir=$root,upperdir=$layer/upper,workdir=$layer/work" root=$layer/root
		mount -t overlay -o "$options,volatile" overlay "$root" 2>/dev/null ||
			mount -t overlay -o "$options" overlay "$root" || exit 125
	fi
	mount -t proc proc "$root/proc" &&
		mount --rbind /dev "$root/dev" &&
		mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm" &&
		mount --bind "$tmp" "$root/tmp" &&
		mount --bind "$tree" "$root/mnt" &&
		cp -L --remove-destination /etc/resolv.conf /etc/hosts "$root/etc/" || exit 125
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C "$@"'

# run_apart COMMAND...: runs it in a process group of its own, so that an
# interrupt can end it and its children (see leave_chroot).
run_apart() {
	local status
	set -m
	"$@" </dev/null &
	APART=$!
	set +m
	wait "$APART"
	status=$?
	APART=
	return $status
}

# in_chroot ROOT [NAME=VALUE...] COMMAND...: runs it there as root.  What the file
# CHROOT_SETTINGS says, if that is set, root finds there in /tmp/settings: on a
# command line everybody could read it.  With CHROOT_LAYER, a directory of
# new_layer's, ROOT stays as it is, and what changes goes there.
in_chroot() {
	local root=$1 status
	shift
	CHROOT_TMP=$(mktemp -d) && chmod 1777 "$CHROOT_TMP" || return
	[ -z "${CHROOT_SETTINGS:-}" ] || as_root install -m 600 "$CHROOT_SETTINGS" "$CHROOT_TMP/settings" || return
	run_apart as_root unshare --mount --ipc --pid --fork --kill-child \
		bash -c "$ENTER_CHROOT" enter "$root" "$SOURCE" "$CHROOT_TMP" "${CHROOT_LAYER:-}" "$@"
	status=$?
	leave_chroot
	return $status
}

# test_in_chroot ROOT [NAME=VALUE...] SCRIPT: runs a test script of the tree there, with
# what the caller's environment says of tests; kept logs belong to the tree's owner.
test_in_chroot() {
	local name status root=$1
	local -a settings=()
	shift
	for name in TESTS JOBS DU_LOGS CHECK_DOCUMENTDB CHECK_BLUEGREEN CHECK_FRESH "${!PG_TEST_@}"; do
		[ -z "${!name:-}" ] || settings+=("$name=${!name}")
	done
	echo "In $root, where this tree is /mnt:"
	in_chroot "$root" "${settings[@]}" "$@"
	status=$?
	[ ! -e "$SOURCE/tmp_check" ] || as_root chown -R --reference="$SOURCE" "$SOURCE/tmp_check"
	return $status
}

# Ends a process group that we started: those in it clean up when asked to, and
# a pid namespace ends with the process that made it.
end_group() {
	as_root kill -TERM -- "-$1"
	for _ in $(seq 100); do
		as_root kill -0 -- "-$1" || return 0
		sleep 0.1
	done
	as_root kill -KILL -- "-$1"
}

# new_layer: sets LAYER to a directory for what is changed above a chroot.
new_layer() {
	LAYER=$(as_root mktemp -d "$(chroot_cache)/layer.XXXXXX") || return
	CHROOT_LAYERS+=("$LAYER")
	as_root chmod 755 "$LAYER" && as_root mkdir "$LAYER/upper" "$LAYER/work" "$LAYER/root"
}

# remove_layer DIRECTORY...
remove_layer() { as_root rm -rf --one-file-system "$@"; }

# Ends what runs in a chroot and removes its /tmp, and what is half made.
leave_chroot() {
	[ -z "${APART:-}" ] || end_group "$APART" 2>/dev/null
	[ -z "${CHROOT_TMP:-}" ] || as_root rm -rf --one-file-system "$CHROOT_TMP"
	[ -z "${CHROOT_NEW:-}" ] || as_root rm -rf --one-file-system "$CHROOT_NEW"
	APART='' CHROOT_TMP='' CHROOT_NEW=''
}

# The same at the very end, with all layers.
end_chroots() {
	leave_chroot
	[ ${#CHROOT_LAYERS[@]} = 0 ] || remove_layer "${CHROOT_LAYERS[@]}"
	CHROOT_LAYERS=()
}
CHROOT_LAYERS=()

chroot_traps() {
	trap end_chroots EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# Why no chroot can be made here; nothing when one can.
chroot_obstacle() {
	if ! can_be_root; then
		echo "it takes root or sudo"
	elif ! as_root true; then
		echo "sudo refuses"
	elif ! has apt-get; then
		echo "there is no apt-get here"
	elif ! as_root unshare --mount --ipc --pid --fork mount -t tmpfs tmpfs /mnt 2>/dev/null; then
		echo "mounting is not permitted here"
	fi
}

# Where Debian's packages come from: what apt uses here, and at last an empty line
# for what mmdebstrap takes by itself.
mirrors() {
	# shellcheck disable=SC2016
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 2>/dev/null |
		sed 's,/*$,,' | grep '^https\?:' | sort -u
	echo
}

# need_mmdebstrap: installs it, and Debian's keys, where they are missing.
need_mmdebstrap() {
	local -a missing=()
	has mmdebstrap || missing+=(mmdebstrap)
	[ -e "$DEBIAN_KEYS" ] || missing+=(debian-archive-keyring)
	[ ${#missing[@]} -gt 0 ] || return 0
	echo "Installing with apt:" "${missing[@]}"
	APT_LOG=$(mktemp)
	apt_install "${missing[@]}"
	local status=$?
	rm -f "$APT_LOG"
	return $status
}

# Puts a bare Debian into CHROOT_NEW.  A mirror may be past the date until which
# its Release file is valid; its signature is verified all the same.
bare_debian() {
	local suite=$1 mirror
	local -a from
	while IFS= read -r mirror; do
		from=()
		[ -z "$mirror" ] || from=("deb [check-valid-until=no signed-by=$DEBIAN_KEYS] $mirror $suite main")
		as_root rm -rf --one-file-system "$CHROOT_NEW"
		! as_root mmdebstrap --quiet --mode=root --variant=minbase --include=ca-certificates,git,make \
			--keyring="$DEBIAN_KEYS" "$suite" "$CHROOT_NEW" "${from[@]}" </dev/null || return 0
	done < <(mirrors | awk '!seen[$0]++')
	return 1
}

# What is run in a chroot for its packages; the arguments are need_release's.
# shellcheck disable=SC2016
PROVIDE_PACKAGES='
	fail() { echo "$*" >&2; exit 1; }
	. /mnt/test/lib/packages.sh
	export LC_ALL=C
	need_release "$@"
	rm -f /var/cache/apt/archives/*.deb'

# make_chroot MAJOR ROOT: a Debian with that PostgreSQL and all that the tests
# need.
make_chroot() {
	local major=$1 root=$2 suite=${SUITES[$1]} log
	as_root apt-get -qq update </dev/null
	need_mmdebstrap || return
	log=$(mktemp)
	echo "Making a Debian $suite with PostgreSQL $major in $root (once; takes minutes and 2 GB)"
	CHROOT_NEW="$root.new"
	# shellcheck disable=SC2086
	bare_debian "$suite" >"$log" 2>&1 &&
		in_chroot_new bash -c "$PROVIDE_PACKAGES" packages "$major" ${MORE_PACKAGES[$major]:-} >>"$log" 2>&1 &&
		as_root mv -T "$CHROOT_NEW" "$root"
	local status=$?
	[ "$status" = 0 ] || tail -n 20 "$log" >&2
	rm -f "$log"
	leave_chroot
	return $status
}

# complete_chroot MAJOR ROOT: installs what an older state of the tree did not
# ask for yet, after saying so.
complete_chroot() {
	local major=$1 root=$2 log status
	log=$(mktemp)
	# shellcheck disable=SC2086
	in_chroot "$root" bash -c "$PROVIDE_PACKAGES" packages "$major" ${MORE_PACKAGES[$major]:-} >"$log" 2>&1
	status=$?
	sed "s,^Installing,In $root: installing," "$log" | grep -E "^In $root|^E: " || [ "$status" = 0 ] || tail -n 20 "$log" >&2
	rm -f "$log"
	return $status
}

# in_chroot on one that is being made, and that stays.
in_chroot_new() {
	local new=$CHROOT_NEW status
	CHROOT_NEW=
	in_chroot "$new" "$@"
	status=$?
	CHROOT_NEW=$new
	return $status
}

# lock_cache: the cache's directory, made if need be, and locked by the descriptor
# LOCK; if that is impossible, OBSTACLE says why.
lock_cache() {
	local cache
	OBSTACLE=$(chroot_obstacle)
	[ -z "$OBSTACLE" ] || return
	cache=$(chroot_cache)
	as_root mkdir -p "$cache" || { OBSTACLE="could not create $cache"; return 1; }
	exec {LOCK}<"$cache"
	flock "$LOCK"
}

# find_chroot MAJOR: sets CHROOT to the one for that PostgreSQL, made now if there
# is none, or completed; if that is impossible, OBSTACLE says why.
find_chroot() {
	local major=$1
	lock_cache || return
	CHROOT="$(chroot_cache)/${SUITES[$major]}"
	if [ -d "$CHROOT" ]; then
		complete_chroot "$major" "$CHROOT" || OBSTACLE="the chroot $CHROOT lacks packages that could not be installed"
	else
		make_chroot "$major" "$CHROOT" || OBSTACLE="could not make the chroot $CHROOT"
	fi
	exec {LOCK}<&-
	[ -z "$OBSTACLE" ]
}

# make_bare SUITE ROOT: a Debian with no more than bare_debian's.
make_bare() {
	local log status
	as_root apt-get -qq update </dev/null
	need_mmdebstrap || return
	log=$(mktemp)
	echo "Making a bare Debian $1 in $2 (once; takes a minute and 250 MB)"
	CHROOT_NEW="$2.new"
	bare_debian "$1" >"$log" 2>&1 && as_root mv -T "$CHROOT_NEW" "$2"
	status=$?
	[ "$status" = 0 ] || tail -n 20 "$log" >&2
	rm -f "$log"
	leave_chroot
	return $status
}

# find_bare SUITE: like find_chroot, for a bare Debian.
find_bare() {
	lock_cache || return
	CHROOT="$(chroot_cache)/bare-$1"
	[ -d "$CHROOT" ] || make_bare "$1" "$CHROOT" || OBSTACLE="could not make the chroot $CHROOT"
	# Layers of runs that were killed.
	as_root find "$(chroot_cache)" -maxdepth 1 -name 'layer.*' -mmin +1440 -exec rm -rf --one-file-system {} +
	exec {LOCK}<&-
	[ -z "$OBSTACLE" ] || return
	new_layer && CHROOT_LAYER=$LAYER in_chroot "$CHROOT" true 2>/dev/null ||
		OBSTACLE="no overlay can be mounted above $CHROOT"
	remove_layer "$LAYER"
	[ -z "$OBSTACLE" ]
}
