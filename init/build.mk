LIBS += init
SRC_init := init/boot.c init/commands.c init/control.c init/dns.c init/keeper.c init/lease.c init/network.c init/power.c \
	init/roles.c init/sandbox.c init/supervise.c
DEPS_init := base orchestrator/machine netstack/lwip netstack/netlink
UNIT_init := $(addprefix tests/unit/init/,keeper_test.c sandbox_test.c control_test.c dns_test.c \
	supervise_test.c)
FUZZ_init := tests/fuzz/keeper_fuzz.c

# The one program: PID 1 and whatever of the house is there. Its parts are linked whole (and what is not
# reached thrown away again), because PID 1's floor reaches them by weak symbols.
PROGS += keelson
MAIN_keelson := init/main.c
PARTS_keelson ?= orchestrator/api orchestrator/control orchestrator/schedule orchestrator/node \
	orchestrator/runtime orchestrator/nodenet orchestrator/hollow
DEPS_keelson := init $(PARTS_keelson)
WHOLE_keelson := $(PARTS_keelson)
