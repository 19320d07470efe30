#!/bin/sh
# Copyright The Keelson Authors. SPDX-License-Identifier: Apache-2.0
#
# tests/lint/run.sh: `make lint`. Rules of the house that a machine can hold, one function each; the
# lists beside this script are their tables. Symbols are read from the objects of the musl build, so
# that a comment or a string is no call and a macro does not hide one.
# From the Makefile: O (output folder), CC and CFLAGS of the musl build. Arguments: only these checks.
set -u
export LC_ALL=C

here=tests/lint
out=$O/lint
obj=$O/musl/obj
mkdir -p "$out"
passed=0 failed=0 skipped=0

# Files of the tree that are there (committed or not), by name.
files() { git ls-files -co --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && echo "$f"; done; }
# table FILE: its lines without comments and empty ones.
table() { sed 's/[[:space:]]*#.*//; /^[[:space:]]*$/d' "$here/$1"; }

# ---- checks: print what is wrong, nothing when all is well; exit 77 = cannot be checked here ----

# .clang-format's one reference version: layouts differ from version to version.
check_format() {
	tool=$(command -v clang-format-14 || command -v clang-format) || tool=
	[ -n "$tool" ] && $tool --version | grep -q 'version 14\.' || {
		echo "clang-format 14 is not on this machine"
		return 77
	}
	touch "$out/format.known"
	files '*.c' '*.h' | xargs sha256sum .clang-format | sort >"$out/format.now"
	style=$(sha256sum <.clang-format)
	grep -qx "$style" "$out/format.known" || echo "$style" >"$out/format.known"
	comm -23 "$out/format.now" "$out/format.known" | awk '$2 ~ /\.[ch]$/ { print $2 }' |
		xargs -r -P 2 -n 16 $tool --dry-run -Werror 2>&1 | sed -n 's/: error: code should be.*/: not as .clang-format says (make format)/p' |
		sort -t: -u -k1,1 | tee "$out/format.bad"
	cut -d: -f1 "$out/format.bad" | sort -u >"$out/format.names"
	{ echo "$style"; awk 'NR == FNR { bad[$1]; next } !($2 in bad)' "$out/format.names" "$out/format.now"; } |
		sort -u >"$out/format.known"
}

# Own folder and floors below; folders of one floor meet at front doors: the header named like its
# folder, or one in the list.
check_includes() {
	files 'base/*.[ch]' 'storage/*.[ch]' 'netstack/*.[ch]' 'orchestrator/*.[ch]' 'init/*.[ch]' 'qemu/*.[ch]' \
		'image/*.[ch]' | xargs -r grep -Hn '^[[:space:]]*#[[:space:]]*include "' | awk -v doors="$(table front-doors)" '
	function floor_of(path) {
		sub(/\/.*/, "", path)
		return path == "base" ? 1 : path == "storage" || path == "netstack" ? 2 : path == "orchestrator" || path == "kinds" ? 3 : 4
	}
	function folder_of(path, n) { n = path; sub(/\/[^\/]*$/, "", n); return n }
	BEGIN { n = split(doors, d, "\n"); for (i = 1; i <= n; i++) door[d[i]] = 1 }
	{
		split($0, part, ":")
		file = part[1]
		header = $0; sub(/^[^"]*"/, "", header); sub(/".*/, "", header)
		here = folder_of(file); there = folder_of(header); name = header; sub(/.*\//, "", name)
		last = there; sub(/.*\//, "", last)
		at = file ":" part[2] ": "
		if (header !~ /\//) print at "\"" header "\": paths start at the root"
		else if (here == there || index(there, here "/") == 1 || index(here, there "/") == 1) next
		else if (name ~ /_int\.h$/) print at header " is private to " there
		else if (floor_of(there) > floor_of(here)) print at header " is on a floor above"
		else if (there == "kinds") next # structs of the schema, generated
		else if (floor_of(there) == floor_of(here) && name != last ".h" && !(header in door))
			print at header " is not a front door of " there
	}'
}

# The same of symbols: what an object needs must stand on its floor or below.
check_symbols() {
	(cd "$obj" && find . -name '*.o' ! -path './tests/*' | sed 's,^\./,,' | sort | xargs -r nm -A --format=posix) |
		awk '
	# What is generated outside the four floors comes of the schema: floor 3.
	function floor_of(path, gen) {
		gen = sub(/^gen\//, "", path); sub(/\/.*/, "", path)
		if (path == "base") return 1
		if (path == "storage" || path == "netstack") return 2
		return path == "orchestrator" || (gen && path !~ /^(init|qemu|image)$/) ? 3 : 4
	}
	{ sub(/:$/, "", $1) }
	$3 ~ /^[TDBRVWC]$/ { if (!($2 in owner) || floor_of($1) < floor_of(owner[$2])) owner[$2] = $1 }
	$3 == "U" { need[$1 " " $2] }
	END { for (k in need) { split(k, p, " ")
		if (p[2] in owner && floor_of(owner[p[2]]) > floor_of(p[1]))
			print p[1] " needs " p[2] " of " owner[p[2]] ", a floor above" } }' | sort
}

check_headers() {
	files 'base/*.h' 'storage/*.h' 'netstack/*.h' 'orchestrator/*.h' 'init/*.h' 'qemu/*.h' >"$out/headers"
	mkdir -p "$out/alone"
	while read -r h; do
		c=$out/alone/$(echo "$h" | tr / _).c
		[ -e "$c" ] || printf '#include "%s"\n' "$h" >"$c"
		echo "$c"
	done <"$out/headers" | xargs -r -P 2 -I@ sh -c '$CC $CFLAGS -Wno-unused-function -Wno-missing-prototypes \
		-O0 -c "$1" -o "$1.o" 2>"$1.err" || grep -m3 -E "error|warning" "$1.err"' - @
}

# objects: of sources that are still there; prints "source object".
objects() {
	find "$obj" -name '*.o' | while read -r o; do
		c=${o#"$obj"/} c=${c%.o}.c
		[ -f "$c" ] && echo "$c $o"
	done
}

# needs: "source symbol" for each undefined symbol of the product's and the tests' objects.
needs() {
	objects | sort >"$out/objects"
	cut -d' ' -f2 "$out/objects" | xargs -r nm -Au --format=posix | awk -v o="$obj/" '{ sub(/:$/, "", $1)
		c = substr($1, length(o) + 1); sub(/\.o$/, ".c", c); print c, $2 }' >"$out/needs"
}

# Calls nobody makes: unbounded, not reentrant, or a surprise (a shell, the locale, a lookup service).
check_banned() {
	needs
	table banned | awk 'NR == FNR { why[$1] = $0; next }
		/^(tests\/unit\/)?base\/.* strto/ { next } # str_to_* themselves
		/^orchestrator\/node\/.* getaddrinfo/ { next } # names of registries, on a helper thread
		$2 in why { print $1 ": " why[$2] }' - "$out/needs"
}

# The kernel is asked for time, chance, threads, sockets and files only by those in kernel-users.
check_kernel_users() {
	[ -e "$out/needs" ] || needs
	table kernel-calls >"$out/calls"
	table kernel-users >"$out/users"
	awk 'FILENAME == ARGV[1] { for (i = 2; i <= NF; i++) class[$i] = $1; next }
	FILENAME == ARGV[2] { for (i = 2; i <= NF; i++) may[$1] = may[$1] " " $i " "; next }
	!($2 in class) || $1 ~ /^(tests|init|qemu|image)\// { next }
	{ for (p = $1; ; ) {
		if (index(may[p], " " class[$2] " ") || index(may[p], " all ")) next
		if (p !~ /\/./) break
		sub(/[^\/]+\/?$/, "", p)
	} print $1 ": calls " $2 " (" class[$2] "), which is not its own: through base/, or a line in tests/lint/kernel-users" }' \
		"$out/calls" "$out/users" "$out/needs"
}

check_sizes() {
	files '*.c' '*.h' Makefile '*.mk' '*.sh' | xargs wc -l | awk -v big="$(table big-files)" '
	BEGIN { n = split(big, l, "\n"); for (i = 1; i <= n; i++) { split(l[i], w, " "); known[w[1]] = 1 } known["total"] = 1 }
	$2 == "Makefile" && $1 > 400 { print $2 ": " $1 " lines, more than 400" }
	$1 > 800 && !($2 in known) { print $2 ": " $1 " lines; over 800 needs a reason in tests/lint/big-files" }
	$1 <= 800 { delete known[$2] }
	{ seen[$2] }
	END { for (f in known) if (f != "total" && !(f in seen)) print f ": in tests/lint/big-files, but not there" }'
}

# A test waits for a condition with a deadline; the waiting itself is in the files of the list.
check_sleeps() {
	may=$(table may-sleep)
	for f in $(files 'tests/*.c' 'tests/*.h' 'tests/*.sh'); do
		case "
$may
" in *"
$f
"*) continue ;; esac
		case $f in
		"$here"/*) ;;
		# Behind "--" it is what a container runs.
		*.sh) grep -HnE '(^|[;&|[:space:]])sleep [0-9.$"]' "$f" | grep -v -- '-- sleep ' ;;
		*) grep -HnE '(^|[^a-zA-Z_"])(u|nano|clock_nano)?sleep\(' "$f" ;;
		esac
	done
}

# Words that have no place in the tree: unfinished work, machines' paths, hosts of registries.
check_words() {
	files '*.c' '*.h' '*.sh' '*.mk' Makefile '*.md' 'deps/*' 'kernel-config/*' |
		xargs -r grep -HnE -f "$here/words" | grep -v "^$here/" || :
	files '*.c' '*.h' '*.sh' Makefile | xargs -r grep -L 'SPDX-License-Identifier' | sed 's/$/: no licence line/'
}

for check in ${*:-format includes symbols headers banned kernel_users sizes sleeps words}; do
	check_$check >"$out/$check.out" 2>&1
	status=$?
	if [ $status -eq 77 ]; then
		skipped=$((skipped + 1))
		echo "skip $check: $(cat "$out/$check.out")"
	elif [ -s "$out/$check.out" ]; then
		failed=$((failed + 1))
		sed 's/^/     /' "$out/$check.out" | head -200
		echo "FAIL $check ($(wc -l <"$out/$check.out"))"
	else
		passed=$((passed + 1))
		echo "ok   $check"
	fi
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
