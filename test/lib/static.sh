# shellcheck shell=bash
# Checks that need no server: symbols, libraries, versions, includes, drawings.
# Sourced by test/check after suite.sh; the entry is run_static.

# verdict TEXT OUTPUT: a check passed when it had nothing to say.
verdict() {
	if [ -z "$2" ]; then
		ok "$1"
	else
		not_ok "$1"
		echo "        ${2//$'\n'/$'\n'        }"
	fi
}

# Exported symbols that do not carry our prefix.
foreign_symbols() {
	nm -D --defined-only "$WORK"/src/$EXTENSION*.so "$WORK"/src/parity/*.so | awk 'NF == 3 { print $3 }' |
		grep -vE '^(du_|documentdb_upgrade|pg_finfo_documentdb_upgrade|__(asan|odr_asan|ubsan)|(_PG_init|_PG_fini|Pg_magic_func|_init|_fini)$)'
}

# What the worker's library takes from the first, and the first does not export.
# Since 16 symbols are hidden unless they are marked.
missing_symbols() {
	comm -23 <(nm -D --undefined-only "$WORK/src/${EXTENSION}_worker.so" | awk '$2 ~ /^du_/ { print $2 }' | sort) \
		<(nm -D --defined-only "$WORK/src/$EXTENSION.so" | awk '{ print $3 }' | sort)
}

# What the library of parity/ would share with the main one in a server that has
# loaded both, which may be of different versions.
shared_symbols() {
	nm -D "$WORK"/src/parity/*.so | awk '$NF ~ /^du_/ { print $NF }'
}

# Libraries that the preloaded one must not need.
heavy_libraries() {
	readelf -d "$WORK/src/$EXTENSION.so" | grep -E 'NEEDED.*(curl|cjson|libpq)'
}

# Every place that names the version and does not say what the control file
# says.
version_differences() {
	local version newest
	version=$(sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" $EXTENSION.control)
	perl -MJSON::PP -0777 -e '
		my ($version, $meta) = ($ARGV[0], decode_json(<STDIN>));
		my @said = ($meta->{version}, map { $_->{version} } values %{ $meta->{provides} });
		print "META.json says $_, the control file $version\n" for grep { $_ ne $version } @said;
		' "$version" <META.json 2>&1
	[ -e "sql/$EXTENSION--$version.sql" ] || echo "no sql/$EXTENSION--$version.sql has been built"
	newest=$(sed -n 's/^## *\[\{0,1\}v\{0,1\}\([0-9][^] ]*\).*/\1/p' CHANGELOG.md 2>/dev/null | head -n 1)
	[ "$newest" = "$version" ] || echo "CHANGELOG.md begins with ${newest:-no version}"
}

# Includes that go against the lines of rooms in docs/architecture.md: of a room that
# is not to the left, of another room's inner header; and files that are in no room.
wrong_includes() {
	awk '
	function no_room(dir) { return dir != "" && !(dir in rank) }
	FILENAME ~ /architecture/ {
		if (!match($0, /^(Main|Worker) library: `[^`]*`/)) next
		prefix = /^Worker/ ? "worker/" : ""
		line = substr($0, RSTART, RLENGTH)
		gsub(/^[^`]*`|`$/, "", line)
		ngroups = split(line, groups, "|")
		for (i = 1; i <= ngroups; i++) {
			before++
			nrooms = split(groups[i], rooms, " ")
			for (j = 1; j <= nrooms; j++) rank[prefix rooms[j]] = before
		}
		next
	}
	FNR == 1 {
		room = FILENAME
		sub(/^src\//, "", room)
		if (!sub(/\/[^\/]*$/, "", room)) room = ""
		if (no_room(room) || (room == "" && FILENAME != "src/documentdb_upgrade.c")) print FILENAME " is in no room"
	}
	/^#include "[a-z_\/]+\.h"/ {
		other = header = $2
		gsub(/"/, "", other)
		gsub(/"/, "", header)
		if (!sub(/\/[a-z_]+\.h$/, "", other) || !(other in rank) || other == room) next
		if (room != "" && rank[other] >= rank[room]) print FILENAME " includes " header ", which is not to the left of it"
		if (header ~ /\/internal\.h$/) print FILENAME " includes " header ", which is for its own room"
	}
	' docs/architecture.md $(find src -name '*.[ch]' | LC_ALL=C sort)
}

# Tests that sleep where they should poll a condition.
sleeping_tests() {
	grep -nrEw 'sleep|pg_sleep' test/t test/sql test/perl test/isolation --include='*.p[lm]' \
		--include='*.sql' --include='*.spec' 2>/dev/null
}

# Lines of SQL that are longer than 120 columns.
long_lines() {
	local file
	for file in sql/[0-9]*.sql; do
		expand -t 4 "$file" | awk -v file="$file" 'length > 120 { print file ":" FNR " has " length " columns" }'
	done
}

# Drawings that are not what the sources and the pages say now, or cannot be drawn.
stale_drawings() {
	local drawn="$WORK/out/images" file
	mkdir -p "$drawn"
	docs/images/draw "$drawn" 2>&1 || return
	for file in docs/images/*.svg "$drawn"/*.svg; do
		file=${file##*/}
		[[ $file != bench-* ]] || continue # drawn of what was measured
		cmp -s "docs/images/$file" "$drawn/$file" || echo "docs/images/$file is not what \"make drawings\" draws"
	done | sort -u
}

# Links of pages to files and headings that are not there.  What a heading is called in a
# link is GitHub's rule.
broken_links() {
	perl -CSD -e '
		use File::Basename qw(dirname);
		my %anchors;
		sub page {
			open my $file, "<", $_[0] or die "could not read $_[0]: $!\n";
			local $/;
			return <$file> =~ s/^(```|~~~).*?^\1//gmsr;
		}
		sub anchors {
			my %seen;
			return { map {
				my $name = lc $_;
				$name =~ s/\[([^]]*)\]\([^)]*\)/$1/g;
				$name =~ s/[^\w\- ]//g;
				$name =~ s/ /-/g;
				my $n = $seen{$name}++;
				($n ? "$name-$n" : $name) => 1;
			} page($_[0]) =~ /^#+ +(.*?) *$/mg };
		}
		foreach my $from (@ARGV) {
			foreach my $link (page($from) =~ /\]\(([^)\s]+)\)/g) {
				next if $link =~ /^[a-z]+:/;
				my ($path, $anchor) = split /#/, $link, 2;
				my $to = $path eq "" ? $from : dirname($from) . "/$path";
				if (!-e $to) { print "$from: $link is not there\n"; }
				elsif (defined $anchor && !($anchors{$to} //= anchors($to))->{$anchor}) { print "$from: $link names no heading\n"; }
			}
		}' $(find . -name '*.md' -not -path './tmp_check/*' | LC_ALL=C sort) 2>&1
}

run_static() {
	selected static || return 0
	heading "static checks: seconds"
	cd "$WORK/src" || exit 1
	ok "compiles without a warning"
	verdict "exports only symbols with our prefix" "$(foreign_symbols)"
	verdict "the worker's library finds in the first what it takes from it" "$(missing_symbols)"
	verdict "the library of parity/ keeps its functions to itself" "$(shared_symbols)"
	verdict "the preloaded library needs neither libcurl nor cJSON nor libpq" "$(heavy_libraries)"
	verdict "META.json, CHANGELOG.md and sql/ agree with the control file's version" "$(version_differences)"
	verdict "rooms include what is to the left of them" "$(wrong_includes)"
	verdict "no test sleeps" "$(sleeping_tests)"
	verdict "the drawings say what the sources and the pages say" "$(stale_drawings)"
	verdict "links of the pages lead to a file and a heading" "$(broken_links)"
	verdict "no line of SQL is longer than 120 columns" "$(long_lines)"
}
