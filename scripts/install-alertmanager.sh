#!/usr/bin/env bash
# Installs Alertmanager for the tests on Debian and Ubuntu, as root. Does
# nothing where it is installed. No server is left running: the tests start
# their own.
set -euo pipefail

if command -v prometheus-alertmanager >/dev/null || command -v alertmanager >/dev/null; then
	exit 0
fi
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
	echo "install-alertmanager: Alertmanager is not installed: install version 0.25 or newer with your package manager (Debian: apt-get install prometheus-alertmanager)" >&2
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
apt-get install -y -qq --no-install-recommends prometheus-alertmanager >/dev/null
