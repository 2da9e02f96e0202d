"""HTTP: routes, errors, and the process around them."""
import http.server
import json
import os
import re
import signal
import socket
import socketserver
import sys
import threading
import time
import urllib.parse

from app.metrics import Metrics
from app.openapi import document
from app.schema import FIELDS, PATH, SEARCH, SINGULAR
from app.store import Store, Taken
from app.validation import INTEGER_MOST, Invalid, check

BODY_MOST = 1 << 20
LIMIT, LIMIT_MOST = 50, 200
WORDS_MOST = 20
ITEM = re.compile("/" + re.escape(PATH) + r"/([0-9]{1,16})", re.ASCII)


class HttpError(Exception):
    def __init__(self, status, code, message, fields=None, headers=None):
        super().__init__(message)
        self.status, self.code, self.fields, self.headers = status, code, fields, headers or {}


def duplicate_free(pairs):
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a field is given twice")
    return result


def no_constant(name):
    raise ValueError(f"{name} is not JSON")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "app"
    sys_version = ""
    # A client that says nothing does not keep a thread for ever.
    timeout = 30

    def handle_any(self):
        started = time.monotonic()
        self.body_read = False
        headers, content_type = {}, "application/json"
        try:
            status, headers, body, content_type = self.route()
        except Invalid as error:
            status, body = 422, {"error": {"code": "invalid", "message": str(error), "fields": error.fields}}
        except Taken as error:
            status, body = 409, {"error": {"code": "taken", "message": str(error), "fields": {error.field: "is taken"}}}
        except HttpError as error:
            status, headers = error.status, error.headers
            body = {"error": {"code": error.code, "message": str(error), "fields": error.fields or {}}}
        except Exception as error:  # The client gets no details; the log does.
            self.log_error("%s failed: %r", self.command, error)
            status, body = 500, {"error": {"code": "internal", "message": "something went wrong here", "fields": {}}}
        # Before it is sent: who has the answer finds it counted.
        self.server.metrics.observe(self.command, status, time.monotonic() - started)
        self.answer(status, headers, body, content_type)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any

    def answer(self, status, headers, body, content_type):
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Type", content_type)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        if not self.body_read and (self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers):
            # What was not read would be taken for the next request.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        if self.close_connection:
            self.linger()

    def linger(self):
        """Takes what the client still sends: a connection closed before is reset, and the answer may be lost with it."""
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(1)
            until, left = time.monotonic() + 1, 4 * BODY_MOST
            while left > 0 and time.monotonic() < until and (data := self.connection.recv(65536)):
                left -= len(data)
        except OSError:
            pass  # It is gone.

    def route(self):
        path, _, query = self.path.partition("?")
        method = "GET" if self.command == "HEAD" else self.command
        routes = {
            "/health": {"GET": self.health},
            "/metrics": {"GET": self.show_metrics},
            "/openapi.json": {"GET": lambda: (200, {}, document(), "application/json")},
            f"/{PATH}": {"GET": lambda: self.list_items(query), "POST": self.create_item},
        }
        methods = routes.get(path)
        match = ITEM.fullmatch(path)
        if match and int(match[1]) <= INTEGER_MOST:
            number = int(match[1])
            methods = {
                "GET": lambda: self.found(self.server.store.get(number)),
                "PUT": lambda: self.replace_item(number),
                "PATCH": lambda: self.change_item(number),
                "DELETE": lambda: self.delete_item(number),
            }
        if methods is None:
            raise HttpError(404, "not_found", f"there is nothing at {path}")
        if method not in methods:
            allowed = ", ".join(sorted([*methods, "HEAD"] if "GET" in methods else methods))
            raise HttpError(405, "method_not_allowed", f"{self.command} is not possible here", headers={"Allow": allowed})
        return methods[method]()

    def health(self):
        self.server.store.check()
        return 200, {}, {"status": "ok"}, "application/json"

    def show_metrics(self):
        return 200, {}, self.server.metrics.render(), "text/plain; version=0.0.4; charset=utf-8"

    def list_items(self, query):
        values = urllib.parse.parse_qs(query, keep_blank_values=True)
        limit, after = whole(values, "limit", LIMIT, 1, LIMIT_MOST), whole(values, "after", 0, 0, INTEGER_MOST)
        words = values.get("q", [""])[-1].split() if SEARCH else []
        if len(words) > WORDS_MOST or "\0" in "".join(words):
            raise HttpError(400, "invalid", f"q must be at most {WORDS_MOST} words", fields={"q": "is not words"})
        items, following = self.server.store.list(limit, after, words)
        return 200, {}, {"items": items, "next": following}, "application/json"

    def create_item(self):
        created = self.server.store.create(check(self.body(), FIELDS))
        # Relative, so that it holds behind a proxy that adds a prefix.
        return 201, {"Location": f"{PATH}/{created['id']}"}, created, "application/json"

    def replace_item(self, number):
        return self.found(self.server.store.update(number, check(self.body(), FIELDS)))

    def change_item(self, number):
        return self.found(self.server.store.update(number, check(self.body(), FIELDS, partial=True)))

    def delete_item(self, number):
        if not self.server.store.delete(number):
            raise HttpError(404, "not_found", f"there is no such {SINGULAR}")
        return 204, {}, None, ""

    def found(self, item):
        if item is None:
            raise HttpError(404, "not_found", f"there is no such {SINGULAR}")
        return 200, {}, item, "application/json"

    def body(self):
        length = self.headers.get("Content-Length")
        if length is None or not re.fullmatch(r"[0-9]{1,12}", length, re.ASCII):
            raise HttpError(411, "length_required", "a body with a Content-Length is needed")
        if int(length) > BODY_MOST:
            raise HttpError(413, "too_large", f"the body must be at most {BODY_MOST} bytes")
        data = self.rfile.read(int(length))
        self.body_read = True
        try:
            return json.loads(data.decode("utf-8"), object_pairs_hook=duplicate_free, parse_constant=no_constant)
        except (ValueError, RecursionError) as error:
            raise HttpError(400, "not_json", f"the body is not JSON: {error}") from None

    def log_message(self, format, *args):
        line = {"time": self.log_date_time_string(), "client": self.address_string(), "message": format % args}
        print(json.dumps(line), file=sys.stderr, flush=True)


def whole(values, name, default, least, most):
    text = values.get(name, [str(default)])[-1]
    if not re.fullmatch(r"[0-9]{1,16}", text, re.ASCII) or not least <= int(text) <= most:
        raise HttpError(400, "invalid", f"{name} must be a whole number from {least} to {most}", fields={name: "is out of range"})
    return int(text)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, directory):
        self.store, self.metrics = Store(directory), Metrics()
        super().__init__(address, Handler)

    def server_close(self):
        super().server_close()
        self.store.close()


def main(environment=os.environ):
    """Serves until SIGTERM or SIGINT."""
    try:
        port = int(environment.get("PORT", "8000"))
        server = Server((environment.get("HOST", "127.0.0.1"), port), environment.get("DATA_DIR", "data"))
    except (ValueError, OverflowError) as error:
        print(f"PORT must be a number from 0 to 65535: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot start: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on http://{server.server_address[0]}:{server.server_address[1]}", file=sys.stderr, flush=True)
    with server:
        server.serve_forever()
    return 0
