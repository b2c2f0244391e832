# documentdb_upgrade: build with PGXS; "make check" and "make demo" do their
# own set-up (see test/).
EXTENSION = documentdb_upgrade
# The control file is the version's only home.
EXTVERSION := $(shell sed -n "s/^default_version *= *'\([^']*\)'.*/\1/p" $(EXTENSION).control)

MODULE_big = documentdb_upgrade
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
DATA = $(wildcard sql/$(EXTENSION)--*.sql)
DOCS = README.md

PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
ifdef WERROR
PG_CFLAGS += -Werror
endif

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(PGXS),)
include $(PGXS)
endif

src/%.o: $(wildcard src/*.h)
