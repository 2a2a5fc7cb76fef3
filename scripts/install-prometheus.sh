#!/usr/bin/env bash
# Installs Prometheus and promtool for the tests on Debian and Ubuntu, as root.
# Does nothing where they are installed. No server is left running: the tests
# start their own.
set -euo pipefail

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
	exit 0
fi
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
	echo "install-prometheus: Prometheus is not installed: install version 2.42 or newer with your package manager (Debian: apt-get install prometheus)" >&2
	exit 1
fi

# The package starts a service. A policy of "never" stops that for the time of
# the installation; one that is there already is left alone.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends prometheus >/dev/null
