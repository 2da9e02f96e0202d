"""The process: from its settings to its end."""
import os
import signal
import sqlite3
import sys
import threading

from app.migrations import Impossible
from app.server import DRAIN_S, Server


def main(environment=os.environ):
    """Serves until SIGTERM or SIGINT."""
    try:
        port = int(environment.get("PORT", "8000"))
        server = Server((environment.get("HOST", "127.0.0.1"), port), environment.get("DATA_DIR", "data"))
    except (ValueError, OverflowError) as error:
        print(f"PORT must be a number from 0 to 65535: {error}", file=sys.stderr)
        return 2
    except (OSError, Impossible, sqlite3.Error) as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    stopped = threading.Event()

    def stop():
        server.stop()
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=stop).start())
    print(f"listening on http://{server.server_address[0]}:{server.server_address[1]}", file=sys.stderr, flush=True)
    try:
        server.serve_forever(poll_interval=0.05)
        stopped.wait(DRAIN_S + 1)
    finally:
        server.server_close()
    return 0
