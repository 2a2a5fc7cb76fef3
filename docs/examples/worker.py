#!/usr/bin/env python3
"""A worker of the lease API without anything but Python: upper-cases its input.

usage: worker.py URL PIPELINE STEP [--once]
"""
import base64
import json
import sys
import threading
import urllib.error
import urllib.request

url, pipeline, step = sys.argv[1:4]


def post(call, message):
    req = urllib.request.Request(
        f"{url}/api/v1/work/{call}",
        json.dumps(message).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(req, timeout=60) as res:
        body = res.read()
        return json.loads(body) if body else None


def read(content):
    if "ref" in content:
        with open(content["ref"], "rb") as f:
            return f.read()
    return base64.b64decode(content.get("inline", ""))


def beat(lease, stop):
    while not stop.wait(lease["lease_seconds"] / 3):
        post("heartbeat", {"lease": lease["lease"]})


def work(lease):
    stop = threading.Event()
    threading.Thread(target=beat, args=(lease, stop), daemon=True).start()
    try:
        output = read(lease["input"]).upper()  # the work itself
        message = {"lease": lease["lease"], "output": {"inline": base64.b64encode(output).decode()}}
        print(lease["unit_id"], post("complete", message)["state"], flush=True)
    except urllib.error.HTTPError as e:
        print(lease["unit_id"], e.read().decode(), file=sys.stderr)  # 409: another attempt has it
    except Exception as e:
        post("fail", {"lease": lease["lease"], "class": "error", "message": str(e)})
    finally:
        stop.set()


while True:
    got = post("lease", {"pipeline": pipeline, "step": step, "worker": "python", "max": 1, "wait_seconds": 20})
    for lease in (got or {}).get("leases", []):
        work(lease)
    if "--once" in sys.argv:
        break
