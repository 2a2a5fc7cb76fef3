#!/usr/bin/env bash
# Runs a command with a private Postgres: scripts/with-postgres.sh [--optional] CMD...
#
# The server lives in a temporary folder, listens on a random port of the
# loopback address alone, and is gone when the command ends, fails or is
# interrupted. Its URL is in PROFILER_TEST_POSTGRES. If that is set already,
# the command runs with the server it names. It forgets what it wrote when the
# machine loses power, unless PROFILER_TEST_DURABLE is on. With --optional a machine without
# Postgres runs the command all the same and says what was left out, except
# under CI=true or PROFILER_TEST_REQUIRE=1.
set -euo pipefail

durable=${PROFILER_TEST_DURABLE:-off}
optional=no
if [[ ${1:-} == --optional ]]; then
	optional=yes
	shift
fi
if [[ $# -eq 0 ]]; then
	echo "usage: scripts/with-postgres.sh [--optional] CMD..." >&2
	exit 2
fi
if [[ -n ${PROFILER_TEST_POSTGRES:-} ]]; then
	exec "$@"
fi

# Debian keeps the server's programs off PATH.
find_bin() {
	local dir
	for dir in "$(pg_config --bindir 2>/dev/null || true)" \
		$(printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin | sort -rV) \
		"$(dirname "$(command -v initdb 2>/dev/null || echo /nonexistent/initdb)")"; do
		if [[ -x $dir/initdb && -x $dir/pg_ctl && -x $dir/postgres ]]; then
			echo "$dir"
			return 0
		fi
	done
	return 1
}

if ! bin=$(find_bin); then
	missing="Postgres is not installed (on Debian: apt-get install postgresql, or scripts/install-postgres.sh as root)"
	if [[ $optional == no || ${CI:-} == true || ${PROFILER_TEST_REQUIRE:-} == 1 ]]; then
		echo "with-postgres: $missing" >&2
		exit 1
	fi
	status=0
	"$@" || status=$?
	echo "with-postgres: tests on Postgres were SKIPPED: $missing" >&2
	exit "$status"
fi

# The server refuses to run as root.
as_server=()
owner=
if [[ $(id -u) -eq 0 ]]; then
	for owner in postgres nobody; do
		if id "$owner" >/dev/null 2>&1; then
			break
		fi
	done
	if command -v setpriv >/dev/null; then
		as_server=(setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups --)
	elif command -v runuser >/dev/null; then
		as_server=(runuser -u "$owner" --)
	else
		as_server=(su -s /bin/bash "$owner" -c 'exec "$0" "$@"' --)
	fi
fi

dir=
child=
server_job=

cleanup() {
	local status=$?
	trap '' INT TERM HUP
	if [[ -n $child ]] && kill -0 -- "-$child" 2>/dev/null; then
		kill -TERM -- "-$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
	fi
	stop_server
	if [[ -n $dir ]]; then
		rm -rf "$dir"
	fi
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# as_owner runs one of the server's programs from a folder that the server's
# user can enter, without this shell's connection settings.
as_owner() {
	local program=$1
	shift
	cd "$dir"
	exec "${as_server[@]}" env -u PGDATA -u PGHOST -u PGPORT -u PGUSER -u PGDATABASE -u PGPASSWORD LC_ALL=C.UTF-8 "$bin/$program" "$@"
}

# start_server returns 0 when the server accepts connections and 1 when it
# has ended.
start_server() {
	rm -f "$dir/data/postmaster.pid"
	# A child of this shell, so that it leaves no zombie, in a process group of
	# its own, so that an interrupt from the terminal does not reach it.
	set -m
	(as_owner postgres -D "$dir/data" -p "$1" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
		-c max_connections=200 -c fsync="$durable" -c synchronous_commit="$durable" -c full_page_writes="$durable" \
		-c timezone=UTC) >"$dir/server.log" 2>&1 </dev/null &
	server_job=$!
	set +m
	local i
	for ((i = 0; i < 600; i++)); do
		if grep -qs '^ready' "$dir/data/postmaster.pid"; then
			return 0
		fi
		if ! kill -0 "$server_job" 2>/dev/null; then
			break
		fi
		sleep 0.1
	done
	stop_server
	return 1
}

# stop_server ends the server at once: what it holds is thrown away.
stop_server() {
	local pid
	if [[ -n $server_job ]]; then
		pid=$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null || true)
		kill -QUIT "${pid:-$server_job}" 2>/dev/null || true
		wait "$server_job" 2>/dev/null || true
		server_job=
	fi
}

dir=$(mktemp -d "${TMPDIR:-/tmp}/profiler-postgres.XXXXXX")
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '%s\n' "$password" >"$dir/password"
if [[ -n $owner ]]; then
	chown -R "$owner" "$dir"
fi
# Passwords in clear text are enough on the loopback address, and a test opens
# many connections.
if ! (as_owner initdb -D "$dir/data" -U profiler -A password --pwfile "$dir/password" \
	-E UTF8 --no-locale --no-sync) >"$dir/initdb.log" 2>&1; then
	echo "with-postgres: initdb failed:" >&2
	cat "$dir/initdb.log" >&2
	exit 1
fi

for _ in 1 2 3 4 5 6 7 8 9 10; do
	# Below the range from which the system gives out ports.
	port=$((15000 + RANDOM % 17000))
	if start_server "$port"; then
		url="postgres://profiler:$password@127.0.0.1:$port/postgres?sslmode=disable"
		break
	fi
done
if [[ -z ${url:-} ]]; then
	echo "with-postgres: the server does not start:" >&2
	cat "$dir/server.log" >&2 || true
	exit 1
fi

export PROFILER_TEST_POSTGRES=$url
# A process group of its own, so that an interrupt reaches all of the command's
# children and this script is free to act on it.
set -m
"$@" <&0 &
child=$!
set +m
status=0
wait "$child" || status=$?
child=
exit "$status"
