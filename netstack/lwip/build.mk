# lwIP's port: PID 1's first lease and the gateway of test networks.
LIBS += netstack/lwip
SRC_netstack/lwip := netstack/lwip/port.c
DEPS_netstack/lwip := base
