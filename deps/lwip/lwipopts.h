/* Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
 *
 * lwipopts: the one configuration of lwIP in the product, for both of its uses: PID 1's first lease,
 * time and netboot files, and the gateway of test networks (qemu/fabric), which ends every guest's
 * TCP and UDP itself, whatever their destination. Single-threaded, timers by sys_check_timeouts.
 * Traps behind the values: IPV6_FRAG_COPYHEADER is needed on 64-bit machines; without ARP_QUEUEING
 * only the last packet outlives address resolution; DHCP's conflict check delays a lease by 7 s. */
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0
#define LWIP_STATS 0

#define MEM_LIBC_MALLOC 1
#define MEMP_MEM_MALLOC 1
#define MEM_ALIGNMENT 8
#define MEMP_NUM_SYS_TIMEOUT 32
#define PBUF_POOL_SIZE 512

#define LWIP_IPV4 1
#define LWIP_IPV6 1
#define IPV6_FRAG_COPYHEADER 1
#define LWIP_IPV6_NUM_ADDRESSES 8
#define LWIP_IPV6_FORWARD 0
#define IP_FORWARD 0
#define LWIP_IPV6_DHCP6 0
#define LWIP_IPV6_AUTOCONFIG 1
#define LWIP_ND6_ALLOW_RA_UPDATES 1
#define LWIP_SINGLE_NETIF 0

#define LWIP_ARP 1
#define ARP_QUEUEING 1
#define ARP_TABLE_SIZE 64
#define ETHARP_SUPPORT_STATIC_ENTRIES 1
#define LWIP_ND6_NUM_NEIGHBORS 64
#define LWIP_ND6_NUM_DESTINATIONS 64
#define LWIP_ND6_QUEUEING 1

#define LWIP_ICMP 1
#define LWIP_ICMP6 1
#define LWIP_RAW 1
#define LWIP_UDP 1
#define LWIP_DNS 1
#define LWIP_DHCP 1
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define LWIP_DHCP_GET_NTP_SRV 1
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_LINK_CALLBACK 1
#define LWIP_NETIF_STATUS_CALLBACK 1
#define SO_REUSE 1

#define SNTP_SERVER_DNS 1
#define SNTP_GET_SERVERS_FROM_DHCP 1
#define SNTP_MAX_SERVERS 4
#define LWIP_DHCP_MAX_NTP_SERVERS 4
#define SNTP_SET_SYSTEM_TIME_US(sec, us) lwip_port_set_time(sec, us)
void lwip_port_set_time(unsigned sec, unsigned us);

#define LWIP_TCP 1
#define TCP_MSS 1460
#define TCP_WND (64 * TCP_MSS)
#define LWIP_WND_SCALE 1
#define TCP_RCV_SCALE 2
#define TCP_SND_BUF (64 * TCP_MSS)
#define TCP_SND_QUEUELEN 512
#define TCP_SNDLOWAT (TCP_SND_BUF / 2)
#define TCP_SNDQUEUELOWAT 256
#define TCP_LISTEN_BACKLOG 1
#define TCP_DEFAULT_LISTEN_BACKLOG 128
#define TCP_MSL 1000
#define LWIP_TCP_KEEPALIVE 1
#define LWIP_TCP_SACK_OUT 1
#define MEMP_NUM_TCP_PCB 4096

/* Checksums of what arrives over a virtual wire are checked all the same: a guest may be wrong. */
#define LWIP_CHECKSUM_ON_COPY 1

#endif
