#!/usr/bin/env bash
# Installs the Postgres server programs for the tests on Debian and Ubuntu, as
# root. Does nothing where they are installed. No cluster is created and no
# server is left running: scripts/with-postgres.sh starts its own.
set -euo pipefail

for dir in "$(pg_config --bindir 2>/dev/null || true)" /usr/lib/postgresql/*/bin; do
	if [[ -x $dir/initdb && -x $dir/postgres ]]; then
		exit 0
	fi
done
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
	echo "install-postgres: Postgres is not installed: install version 13 or newer with your package manager (Debian: apt-get install postgresql)" >&2
	exit 1
fi

conf=/etc/postgresql-common/createcluster.conf
if [[ ! -e $conf ]]; then
	mkdir -p "$(dirname "$conf")"
	echo "create_main_cluster = false" >"$conf"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends -o Dpkg::Options::=--force-confold postgresql >/dev/null
