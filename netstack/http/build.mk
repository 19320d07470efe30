# netstack/http: one server, one client; HTTP/1.1, WebSocket, SPDY/3.1 as state machines.
LIBS += netstack/http
SRC_netstack/http := netstack/http/message.c netstack/http/url.c netstack/http/media.c \
	netstack/http/http1.c netstack/http/listen.c netstack/http/wire.c netstack/http/tunnel.c \
	netstack/http/server.c netstack/http/reply.c netstack/http/client.c netstack/http/call.c \
	netstack/http/fetch.c netstack/http/websocket.c netstack/http/ws_handshake.c \
	netstack/http/k8s_channel.c netstack/http/spdy.c netstack/http/spdy_headers.c
DEPS_netstack/http := netstack/tls base
UNIT_netstack/http := tests/unit/netstack/http/message_test.c tests/unit/netstack/http/http1_test.c \
	tests/unit/netstack/http/server_test.c tests/unit/netstack/http/client_test.c \
	tests/unit/netstack/http/websocket_test.c tests/unit/netstack/http/spdy_test.c \
	tests/unit/netstack/http/wire_test.c
FUZZ_netstack/http := tests/fuzz/http1_fuzz.c tests/fuzz/websocket_fuzz.c tests/fuzz/spdy_fuzz.c
