#!/usr/bin/env bash
# Installs Prometheus with promtool, Alertmanager and Pushgateway for the tests
# on Debian and Ubuntu, as root. Does nothing where they are installed. No
# server is left running: the tests start their own.
set -euo pipefail

missing=()
have() {
	local package=$1 program
	shift
	for program; do
		if command -v "$program" >/dev/null; then
			return
		fi
	done
	missing+=("$package")
}
have prometheus prometheus
have prometheus promtool
have prometheus-alertmanager prometheus-alertmanager alertmanager
have prometheus-pushgateway prometheus-pushgateway pushgateway
if [[ ${#missing[@]} -eq 0 ]]; then
	exit 0
fi
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
	cat >&2 <<-END
		install-prometheus: missing: ${missing[*]}
		Install Prometheus 2.42, Alertmanager 0.25 and Pushgateway 1.5 or newer with your package manager, or put their
		programs into the PATH (prometheus, promtool, alertmanager, pushgateway). On Debian and Ubuntu, as root:
		apt-get install --no-install-recommends ${missing[*]}
	END
	exit 1
fi

# The packages start services. A policy of "never" stops that for the time of
# the installation; one that is there already is left alone.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	trap 'rm -f "$policy"' EXIT
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
