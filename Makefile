# documentdb_upgrade: built with PGXS.  "make check", "make demo" and "make
# bench" set up all they need by themselves (see test/check), pg_config
# included, so PGXS is left out for them.
EXTENSION = documentdb_upgrade

ifneq ($(filter check demo bench,$(MAKECMDGOALS)),)

.PHONY: check demo bench
check demo:
	@test/$@
bench:
	@test/bench/run

else

MODULE_big = documentdb_upgrade
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c)))
DATA = $(wildcard sql/$(EXTENSION)--*.sql)
DOCS := $(wildcard README.md)

PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers
ifdef WERROR
PG_CFLAGS += -Werror
endif

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(PGXS),)
$(error $(PG_CONFIG) not found: install the server's development package (postgresql-server-dev-NN), or set PG_CONFIG)
endif
include $(PGXS)

$(OBJS): $(wildcard src/*.h)

endif
