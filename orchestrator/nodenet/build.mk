# Services, routes and names of a node, from the API.
LIBS += orchestrator/nodenet
SRC_orchestrator/nodenet := $(addprefix orchestrator/nodenet/,nodenet.c map.c map_dns.c map_hostports.c map_policy.c dns_feed.c dns_role.c netpol.c)
DEPS_orchestrator/nodenet := orchestrator/client orchestrator/machine orchestrator/schema netstack/podnet \
	netstack/policy netstack/proxy netstack/dns netstack/netlink netstack/http netstack/tls base
UNIT_orchestrator/nodenet := $(addprefix tests/unit/orchestrator/nodenet/,map_test.c map_hostports_test.c map_policy_test.c dns_feed_test.c \
	dns_role_test.c nodenet_test.c)
FUZZ_orchestrator/nodenet := tests/fuzz/resolv_fuzz.c
