#!/usr/bin/env bash
# Runs a program as root in a Linux kernel of its own that has control groups of
# version 2 and the files of this machine: scripts/with-cgroups.sh CMD...
#
#   go test -exec "$PWD/scripts/with-cgroups.sh" -run Group ./internal/cgroup ./internal/runner
#
# It needs User Mode Linux (on Debian: apt-get install user-mode-linux) and no
# rights. Files that the program writes are those of this machine; temporary ones
# are in memory.
set -euo pipefail

if [[ $# -eq 0 ]]; then
	echo "usage: scripts/with-cgroups.sh CMD..." >&2
	exit 2
fi
if ! command -v linux.uml >/dev/null; then
	echo "with-cgroups: there is no linux.uml (on Debian: apt-get install user-mode-linux)" >&2
	exit 1
fi
dir=$(mktemp -d "${TMPDIR:-/tmp}/profiler-cgroups.XXXXXX")
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/tmp"
cat >"$dir/init" <<END
#!/bin/bash
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs "$dir/tmp"
export PATH=${PATH@Q} HOME=${HOME@Q} TMPDIR=${dir@Q}/tmp
cd ${PWD@Q}
${@@Q} >"$dir/out" 2>&1
echo \$? >"$dir/code"
sync
echo o >/proc/sysrq-trigger
sleep 60
END
chmod +x "$dir/init"
linux.uml mem=2048M rootfstype=hostfs rootflags=/ rw init="$dir/init" con=null con0=null,null quiet \
	</dev/null >"$dir/kernel" 2>&1 || true
cat "$dir/out" 2>/dev/null || true
if [[ ! -s $dir/code ]]; then
	echo "with-cgroups: the kernel has not run the program:" >&2
	tail -n 20 "$dir/kernel" >&2
	exit 1
fi
exit "$(cat "$dir/code")"
