# Test clusters in QEMU: the fabric, the machines, keelctl.
LIBS += qemu/fabric qemu
SRC_qemu/fabric := $(addprefix qemu/fabric/,packet.c switch.c gateway.c udp.c dhcp.c control.c main.c)
DEPS_qemu/fabric := netstack/lwip base
SRC_qemu := $(addprefix qemu/,machine.c cluster.c cluster_files.c cluster_pki.c cluster_wait.c)
DEPS_qemu := qemu/fabric orchestrator/client orchestrator/schema netstack/tls base
UNIT_qemu := tests/unit/qemu/machine_test.c
PROGS += keelctl
MAIN_keelctl := qemu/keelctl.c
DEPS_keelctl := qemu qemu/fabric
UNIT_qemu/fabric := tests/unit/qemu/fabric/packet_test.c
FUZZ_qemu/fabric := tests/fuzz/fabric_fuzz.c
SUITES += cluster
.PHONY: suite-cluster
suite-cluster: kernel image programs
	@tests/cluster/run.sh $(abspath $(O))
