# documentdb_upgrade: built with PGXS.  "make check", "make check-all", "make
# check-documentdb", "make check-bluegreen", "make check-fresh", "make check-sanitize",
# "make fuzz", "make stories", "make demo" and "make bench" set up all they need by themselves
# (see test/check), pg_config included, so PGXS is left out for them; and for "make
# drawings", which needs Perl.
EXTENSION = documentdb_upgrade

ifneq ($(filter check check-all check-documentdb check-bluegreen check-fresh check-sanitize demo lint bench fuzz stories drawings,$(MAKECMDGOALS)),)

.PHONY: check check-all check-documentdb check-bluegreen check-fresh check-sanitize demo lint bench fuzz stories drawings
check check-all check-documentdb check-bluegreen check-fresh check-sanitize demo lint:
	@test/$@
bench fuzz stories:
	@test/$@/run
drawings:
	@docs/images/draw

else

# Two libraries: the one that servers preload needs nothing but PostgreSQL, and
# the one that worker processes load links libcurl, cJSON and libpq.
WORKER_OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/worker/*/*.c)))
WORKER_LIBRARY = $(EXTENSION)_worker$(DLSUFFIX)

MODULE_big = documentdb_upgrade
OBJS = $(patsubst %.c,%.o,$(sort $(filter-out src/worker/%,$(wildcard src/*.c src/*/*.c))))
# The install script is the files of sql/, one for each topic, in the order of
# their names; the update scripts are what is left there.
EXTENSION_VERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(EXTENSION).control)
JOINED_SCRIPT = sql/$(EXTENSION)--$(EXTENSION_VERSION).sql
DATA = $(filter-out $(JOINED_SCRIPT),$(wildcard sql/$(EXTENSION)--*.sql))
DATA_built = $(JOINED_SCRIPT)
DOCS := $(wildcard README.md)

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -MMD -MP -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
ifdef WERROR
PG_CFLAGS += -Werror
endif

PKG_CONFIG ?= pkg-config
WORKER_CFLAGS := $(shell $(PKG_CONFIG) --cflags libcurl libcjson libpq 2>/dev/null)
WORKER_LIBS := $(shell $(PKG_CONFIG) --libs libcurl libcjson libpq 2>/dev/null)
ifeq ($(WORKER_LIBS),)
$(error libcurl, cJSON and libpq not found by $(PKG_CONFIG): install their development packages (on Debian libcurl4-openssl-dev, libcjson-dev and libpq-dev))
endif
# Of xxHash only the header is used; the server that runs this needs nothing.
HASH_CFLAGS := $(shell $(PKG_CONFIG) --cflags libxxhash 2>/dev/null || echo missing)
ifeq ($(HASH_CFLAGS),missing)
$(error xxHash not found by $(PKG_CONFIG): install its development package (on Debian libxxhash-dev))
endif
EXTRA_CLEAN = $(WORKER_LIBRARY) $(WORKER_OBJS) $(WORKER_OBJS:.o=.bc) $(OBJS:.o=.d) $(WORKER_OBJS:.o=.d)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
# Debian ships pgxs.mk with the client; only the headers tell that a server's
# development package is there.
SERVER_HEADERS := $(wildcard $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h)
ifeq ($(SERVER_HEADERS),)
$(error $(PG_CONFIG) names no PostgreSQL server headers: install the server's development package (on Debian postgresql-server-dev-NN), or set PG_CONFIG)
endif

# "make installcheck" runs test/sql against an installed copy and a running server
# that does not preload it.  Most of those tests, and test/isolation, upgrade the
# extensions of test/fixtures: they are run where those are installed too, by
# "make -C test/fixtures install".  PostgreSQL 16 has given expected files an
# option of their own; before, they are looked for beside the input.
ifeq ($(wildcard $(shell $(PG_CONFIG) --sharedir)/extension/du_ahead.control),)
REGRESS = admission checksum_vectors parity row_checksum versions
else
REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
endif
REGRESS_OPTS = --inputdir=test --load-extension=$(EXTENSION) --encoding=UTF8 --no-locale
ISOLATION_OPTS = --inputdir=test/isolation --load-extension=$(EXTENSION) --encoding=UTF8 --no-locale \
	$(if $(filter-out 15,$(MAJORVERSION)),--expecteddir=test/isolation)

include $(PGXS)

# An object depends on the headers that it includes, as the compiler found them.
-include $(OBJS:.o=.d) $(WORKER_OBJS:.o=.d)

src/checksum/canonical_buffer.o src/checksum/canonical_buffer.bc: override CPPFLAGS += $(HASH_CFLAGS)

$(WORKER_OBJS): override CPPFLAGS += $(WORKER_CFLAGS) -DDU_VERSION='"$(EXTENSION_VERSION)"'
$(WORKER_OBJS): $(EXTENSION).control

$(JOINED_SCRIPT): $(sort $(wildcard sql/[0-9]*.sql))
	awk 'FNR == 1 && NR > 1 { print "" } { print }' $^ >$@

# What PGXN takes: the tree of the last commit, and the install script.
ARCHIVE = $(EXTENSION)-$(EXTENSION_VERSION)
.PHONY: dist
dist: $(JOINED_SCRIPT)
	git archive --prefix=$(ARCHIVE)/sql/ --add-file=$(JOINED_SCRIPT) --prefix=$(ARCHIVE)/ -o $(ARCHIVE).zip HEAD

all: $(WORKER_LIBRARY)
$(WORKER_LIBRARY): $(WORKER_OBJS)
	$(CC) $(CFLAGS) $(WORKER_OBJS) $(LDFLAGS) $(LDFLAGS_SL) $(WORKER_LIBS) -shared -o $@

install: install-worker
.PHONY: install-worker uninstall-worker
install-worker: $(WORKER_LIBRARY) installdirs
	$(INSTALL_SHLIB) $(WORKER_LIBRARY) '$(DESTDIR)$(pkglibdir)/$(WORKER_LIBRARY)'

uninstall: uninstall-worker
uninstall-worker:
	rm -f '$(DESTDIR)$(pkglibdir)/$(WORKER_LIBRARY)'

endif
