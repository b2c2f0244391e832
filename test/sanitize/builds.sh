# shellcheck shell=bash
# The builds of PostgreSQL that test/check-sanitize tests on, and what programs of
# theirs find in their environment.  Extensions are built with the flags of the server
# that they are for: PGXS sees to that, and one alone could not be loaded.
BUILDS=${BUILDS:-assertions sanitizers}

# Assertions, and with them checks of each memory context for writes beyond a chunk's
# end, and freed memory that is overwritten.
# shellcheck disable=SC2034
OPTIONS_assertions=(--enable-cassert "CFLAGS=-O1 -g1")

# AddressSanitizer and UndefinedBehaviorSanitizer.  The first does not see into the
# blocks of a memory context: for that the assertions are there.
# shellcheck disable=SC2034
OPTIONS_sanitizers=("CFLAGS=-O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer")

# detect_leaks=0: a server frees memory by contexts, and leaves the rest to its end.
# detect_stack_use_after_return=0: it measures the depth of its stack by the address of
# a local variable.  allocator_may_return_null=1: memory that a limit of ours refuses is
# an error of the code that asked for it.  abort_on_error=1: the postmaster then tells a
# report from an exit.
COMMON_OPTIONS="print_stacktrace=1:abort_on_error=1:disable_coredump=1"
# shellcheck disable=SC2034
SANITIZER_SETTINGS=("ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0:allocator_may_return_null=1:$COMMON_OPTIONS"
	"UBSAN_OPTIONS=$COMMON_OPTIONS")
