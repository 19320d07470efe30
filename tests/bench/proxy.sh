# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# Figures, part proxy: Services in this kernel (proxy_bench: 10,000 of 10 endpoints, in a network of its own; as root).
"$O/musl/bench/proxy_bench" >"$tmp/proxy" || return 1
after() { sed -n "s/^$1 *$2 *\([0-9.]*\) .*/\1/p" "$tmp/proxy"; }
why=$(sed -n 's/^not run: //p' "$tmp/proxy")
[ -n "$why" ] || why=$(busy)
ms() { awk -v us="$1" 'BEGIN { if (us != "") printf "%.3f", us / 1000 }'; }
row '10,000 Services of 10 endpoints: all loaded' "$(after '10,000 x 10 loaded' '')" ms '<=' - 500 "$why"
row 'taken over by the next process' "$(after 'taken over' '')" ms '<=' - - "$why"
for what in 'an endpoint replaced' '10 -> 11 endpoints' '40 -> 41 endpoints'; do
	row "$what: in the kernel, p50" "$(ms "$(after "$what" p50)")" ms '<=' - 0.1 "$why"
done
