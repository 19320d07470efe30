# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Figures, part dns: the name server's CPU for an answer, from a zone of 10,000 Services (dns_bench: without sockets).
"$O/musl/bench/dns_bench" >"$tmp/dns" || return 1
while read -r line; do
	case $line in
	*' ns an answer'*)
		what=$(echo "$line" | sed 's/  .*//')
		ns=$(echo "$line" | sed 's/.* \([0-9]*\) ns an answer.*/\1/')
		row "answer: $what: CPU" "$(awk -v n="$ns" 'BEGIN { printf "%.2f", n / 1000 }')" us '<=' - 3
		;;
	*) note "$line" ;;
	esac
done <"$tmp/dns"
