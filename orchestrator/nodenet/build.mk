# Services, routes and names of a node, from the API.
LIBS += orchestrator/nodenet
SRC_orchestrator/nodenet := orchestrator/nodenet/nodenet.c orchestrator/nodenet/dns_role.c
DEPS_orchestrator/nodenet := orchestrator/client orchestrator/machine orchestrator/schema netstack/podnet \
	netstack/proxy netstack/dns netstack/netlink netstack/http netstack/tls base
