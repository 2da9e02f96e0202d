"""Starts the app as it would be deployed, asks it for a moment, and prints how it answers: `measure.py <command as JSON> <health path> <its
environment as JSON>`."""
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time

STARTS_S, ASKED_S, ANSWER_S = 20, 0.3, 10
REQUESTS_MOST = 400
# As the gate has it.
SLOW_MS = 1000


WHO = json.dumps({"email": "measure@example.org", "password": "measured-for-a-moment"})


def ask(port, path, token=None, body=None):
    """(status, seconds, body)"""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_S)
    try:
        login = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("GET" if body is None else "POST", path, body, login)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, time.monotonic() - began, body
    finally:
        connection.close()


def until_healthy(app, port, health):
    until = time.monotonic() + STARTS_S
    while time.monotonic() < until and app.poll() is None:
        try:
            if ask(port, health)[0] == 200:
                return True
        except OSError:
            pass
        time.sleep(0.02)
    return False


def readable(port, health):
    """The places that can be read without knowing anything of what is there, and the token of somebody who has signed up where that is possible."""
    try:
        status, _, body = ask(port, "/openapi.json")
        described = json.loads(body)["paths"] if status == 200 else {}
        paths = [health] + sorted(path for path, methods in described.items() if "get" in methods and "{" not in path)
        if not all("post" in described.get(path, {}) for path in ("/users", "/sessions")):
            return paths, None
        ask(port, "/users", body=WHO)
        return paths, json.loads(ask(port, "/sessions", body=WHO)[2]).get("token")
    except (OSError, ValueError, KeyError, AttributeError):
        return [health], None


def measured(port, paths, token):
    """What was answered well, and what failed; a place that refuses is neither."""
    took, errors = {path: [] for path in paths}, []
    until, asked = time.monotonic() + ASKED_S, 0
    while asked < REQUESTS_MOST and (time.monotonic() < until or asked < len(paths)):
        path = paths[asked % len(paths)]
        asked += 1
        try:
            status, seconds, _ = ask(port, path, token)
        except OSError as error:
            errors.append(f"GET {path}: {error}")
            continue
        if status < 300:
            took[path].append(seconds)
        if status >= 500:
            errors.append(f"GET {path}: {status}")
    return took, errors


def share(values, of):
    return sorted(values)[min(int(len(values) * of), len(values) - 1)] * 1000 if values else None


def slow(took):
    return (share([seconds for values in took.values() for seconds in values], 0.95) or 0) > SLOW_MS


def main():
    command, health, given = json.loads(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryFile() as log:
        environment = {**os.environ, **given, "PORT": str(port), "HOST": "127.0.0.1", "DATA_DIR": data}
        began = time.monotonic()
        app = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            healthy, started_s = until_healthy(app, port, health), time.monotonic() - began
            took, errors = measured(port, *readable(port, health)) if healthy else ({}, [])
            # A host that is busy is not the app's fault.
            if healthy and not errors and slow(took):
                took, errors = measured(port, *readable(port, health))
        finally:
            app.terminate()
            try:
                app.wait(5)
            except subprocess.TimeoutExpired:
                app.kill()
        if not healthy:
            log.seek(0)
            errors = ["it did not become healthy: " + log.read().decode(errors="replace").strip()[-500:]]
    every = [seconds for values in took.values() for seconds in values]
    slowest = max(took, key=lambda path: share(took[path], 0.95) or 0, default="")
    print(json.dumps({"healthy": healthy, "started_ms": started_s * 1000, "requests": len(every), "p50_ms": share(every, 0.5), "p95_ms": share(every, 0.95), "slowest": slowest, "errors": errors[:5]}))


main()
