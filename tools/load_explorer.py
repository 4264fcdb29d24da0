"""Many clients at once for a running `explore`: how long they wait for pictures, and what memory it takes.

    python tools/load_explorer.py ADDRESS [--clients 30] [--seconds 120] [--pid PID]

ADDRESS is what `explore` shows, with its key. Needs no TensorFlow.
"""

import argparse
import http.client
import json
import random
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import checkout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--pid", type=int, help="of explore, for its memory")
    options = parser.parse_args()
    address = urlsplit(options.address)
    cookie = _request(address, "GET", f"/?{address.query}")[1].get("set-cookie", "").partition(";")[0]
    if not cookie:
        parser.error(f"{options.address} is not what `explore` shows, with its key")
    times, errors, end = [], [], time.monotonic() + options.seconds
    clients = [
        threading.Thread(target=_client, args=[address, cookie, random.Random(number), end, times, errors])
        for number in range(options.clients)
    ]
    for client in clients:
        client.start()
    while time.monotonic() < end:
        time.sleep(min(20, max(0, end - time.monotonic())))
        if options.pid:
            print(f"{len(times)} pictures, resident memory {_memory(options.pid)}", flush=True)
    for client in clients:
        client.join()
    times.sort()
    print(f"{len(times)} pictures, {len(errors)} errors {errors[:3]}")
    if times:
        at = {part: times[min(len(times) - 1, int(len(times) * part))] for part in (0.5, 0.99)}
        print(f"median {at[0.5]:.3f} s, p99 {at[0.99]:.3f} s, longest {times[-1]:.3f} s")


def _client(address, cookie, draw, end, times, errors):
    """Drags a slider: the next picture is asked for as soon as the last one is there, as the page does."""
    view = {"seed": 0}
    while time.monotonic() < end:
        view = {"seed": view["seed"], "psi": round(draw.uniform(-1, 1), 2)}
        if draw.random() < 0.1:
            view["seed"] = draw.randrange(2**32)
        start = time.monotonic()
        try:
            status, _, body = _request(address, "POST", "/api/picture.png", json.dumps(view), {"cookie": cookie})
            if status == 200 and body.startswith(b"\x89PNG"):
                times.append(time.monotonic() - start)
            else:
                errors.append((status, body[:80]))
        except (OSError, http.client.HTTPException) as error:
            errors.append(repr(error))


def _request(address, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def _memory(pid):
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return line.partition(":")[2].strip()


if __name__ == "__main__":
    checkout.run(main)
