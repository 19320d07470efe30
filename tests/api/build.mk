# What is wrong with a request, each line a test, against the program BADINPUT (make suite-badinput
# BADINPUT=build/asan/bin/keelson: the same against the one with sanitizers); GROUPS: some of its groups only.
LIBS += tests/api/badinput
SRC_tests/api/badinput := $(addprefix tests/api/badinput/,server.c client.c table.c wire.c bodies.c patches.c options.c \
	limits.c slow.c kill.c disk.c)
DEPS_tests/api/badinput := netstack/tls base
TOOL_tests/api/badinput := tests/api/badinput/main.c tests/api/webhook.c tests/api/apiserver.c
DEPS_OF_tests/api/webhook.c := netstack/http
DEPS_OF_tests/api/apiserver.c := netstack/http
BADINPUT ?= $(O)/bin/keelson
SUITES += badinput
.PHONY: suite-badinput
suite-badinput: $(BADINPUT) $(O)/musl/api/badinput/main
	@$(O)/musl/api/badinput/main $(BADINPUT) $(GROUPS)
