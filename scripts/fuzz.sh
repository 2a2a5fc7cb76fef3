#!/usr/bin/env bash
# Runs every fuzz target of the repository for the given time (default 20s).
set -euo pipefail
time=${1:-20s}
found=0
while IFS=: read -r file line; do
	target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$line")
	found=1
	echo "fuzz $target in $(dirname "$file") for $time"
	# Without a bound, the time goes into making inputs smaller: seconds pass without one run.
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 50x "./$(dirname "$file")"
done < <(git ls-files --cached --others --exclude-standard '*_test.go' | xargs -r grep -E '^func Fuzz[A-Za-z0-9_]*\(' /dev/null | sort)
if [[ $found -eq 0 ]]; then
	echo "fuzz: the repository has no fuzz target" >&2
	exit 1
fi
