#!/usr/bin/env bash
# Compares benchmarks: scripts/bench-diff.sh BASE [PATTERN [PACKAGES]]
# BASE is a commit; it is checked out beside the working tree for the run.
set -euo pipefail
base=${1:?usage: scripts/bench-diff.sh BASE [PATTERN [PACKAGES]]}
pattern=${2:-.}
packages=${3:-./...}
tmp=$(mktemp -d)
cleanup() {
	git worktree remove --force "$tmp/base" 2>/dev/null || true
	rm -rf "$tmp"
}
trap cleanup EXIT
git worktree add --quiet --detach "$tmp/base" "$base"
(cd "$tmp/base" && go test -run '^$' -bench "$pattern" -benchmem -count 6 -cpu 1 "$packages") >"$tmp/base.txt"
go test -run '^$' -bench "$pattern" -benchmem -count 6 -cpu 1 "$packages" >"$tmp/head.txt"
go tool -modfile=tools/benchstat.mod benchstat "base=$tmp/base.txt" "head=$tmp/head.txt"
