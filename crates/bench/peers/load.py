"""The load every Python peer gets: single submissions by many clients, each waiting for its acknowledgement."""
import json
import os
import subprocess
import sys
import threading
import time

SECONDS, CLIENTS = float(os.environ["PEER_SECONDS"]), int(os.environ["PEER_CLIENTS"])
# One interpreter runs one thread at a time; more processes than this only share the two cores.
PROCESSES = 2


def submitter(submit):
    """What a submitting process does; prints how many were acknowledged."""
    counts = [0] * (CLIENTS // PROCESSES)

    def client(n):
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            submit()
            counts[n] += 1

    print("ready", flush=True)
    sys.stdin.readline()
    threads = [threading.Thread(target=client, args=(n,)) for n in range(len(counts))]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    print(sum(counts), flush=True)
    os._exit(0)


def measure(script, workers, done, warm):
    """`workers`: their command lines."""
    workers = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in workers]
    try:
        for _ in range(50):
            warm()
        drained(done, 50)
        command, pipe = [sys.executable, script, "submit"], subprocess.PIPE
        submitters = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(PROCESSES)]
        if not all(each.stdout.readline().strip() == "ready" for each in submitters):
            raise SystemExit("a submitter did not start")
        known, began = done(), time.monotonic()
        for each in submitters:
            each.stdin.write("go\n")
            each.stdin.flush()
        submitted = sum(int(each.stdout.readline()) for each in submitters)
        finished = drained(done, known + submitted) - known
        took = time.monotonic() - began
    finally:
        [worker.kill() for worker in workers]
    print(json.dumps({"submitted": submitted, "done": finished, "seconds": took, "tasks_per_s": finished / took}), flush=True)
    os._exit(0)


def drained(done, expected):
    until = time.monotonic() + 120
    while time.monotonic() < until and done() < expected:
        time.sleep(0.1)
    return done()
