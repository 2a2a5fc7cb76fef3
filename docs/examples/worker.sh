#!/bin/sh
# A worker of the lease API in shell, with curl and jq: sorts its input.
# usage: worker.sh URL PIPELINE STEP
url=$1 pipeline=$2 step=$3
post() { curl -sS -H 'Content-Type: application/json' --data-binary @- "$url/api/v1/work/$1"; }
while :; do
	jq -n --arg p "$pipeline" --arg s "$step" '{pipeline: $p, step: $s, worker: "shell", max: 1, wait_seconds: 20}' |
		post lease | jq -c '.leases[]?' | while read -r lease; do
		id=$(echo "$lease" | jq -r .lease)
		if out=$(echo "$lease" | jq -r '.input.inline // ""' | base64 -d | sort | base64 -w0); then
			jq -n --arg l "$id" --arg o "$out" '{lease: $l, output: {inline: $o}}' | post complete
		else
			jq -n --arg l "$id" '{lease: $l, class: "error", message: "sort failed"}' | post fail
		fi
		echo
	done
done
