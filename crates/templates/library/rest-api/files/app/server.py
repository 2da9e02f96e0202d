"""HTTP: connections, and the process around them."""
import http.client
import http.server
import json
import select
import socket
import socketserver
import sys
import threading
import time

from app import api
from app.application import Application, problem
from app.errors import HttpError
from app.messages import BODY_MOST, Answer, Request


# What is being answered when it is told to stop may take this long.
DRAIN_S = 20


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "app"
    sys_version = ""
    # A client that says nothing does not keep a thread for ever.
    timeout = 30
    # Head and body are two packets, of which the second would wait for the first one's acknowledgement.
    disable_nagle_algorithm = True

    def handle_any(self):
        started, application = time.monotonic(), self.server.application
        self.body_read = False
        with self.server.working():
            try:
                answer = application.handle(Request(self.command, self.path, self.headers, self.read_body))
            except Exception as error:
                answer = problem(error)
            # Before it is sent: who has the answer finds it counted.
            application.metrics.observe(self.command, answer.status, time.monotonic() - started)
            self.answer(answer)
        if answer.upgrade:
            self.close_connection = True
            answer.upgrade(self.connection, self.rfile)

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.handle_any
        raise AttributeError(name)

    def send_error(self, code, message=None, explain=None):
        """What is no request is answered in our words too."""
        self.body_read, self.close_connection, self.request_version = True, True, "HTTP/1.1"
        self.command = getattr(self, "command", None) or "GET"
        self.headers = getattr(self, "headers", None) or http.client.HTTPMessage()
        self.answer(problem(HttpError(code if code < 500 else 400, "bad_request", message or "it is not understood", headers={"Connection": "close"})))

    def read_body(self, length):
        try:
            data = self.rfile.read(length)
        except OSError:
            data = b""
        if len(data) < length:
            self.close_connection = True
            raise HttpError(400, "cut_off", "the body ended before its Content-Length", headers={"Connection": "close"})
        self.body_read = True
        return data

    def answer(self, answer):
        data = answer.data()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.body is not None:
            self.send_header("Content-Type", answer.content_type)
            self.send_header("X-Content-Type-Options", "nosniff")
        if answer.status not in (101, 204):
            self.send_header("Content-Length", str(len(data)))
        unread = not self.body_read and (self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers)
        if unread or (self.server.draining and answer.status != 101):
            # What was not read would be taken for the next request.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        if unread:
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

    def log_message(self, format, *args):
        line = {"time": self.log_date_time_string(), "client": self.address_string(), "message": format % args}
        trace = (self.headers.get("traceparent") or "").split("-") if hasattr(self, "headers") else []
        if len(trace) == 4:
            line["trace_id"] = trace[1]
        print(json.dumps(line), file=sys.stderr, flush=True)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address, directory):
        self.application = Application(directory, api.routes)
        self.draining, self.busy, self.idle = False, 0, threading.Condition()
        super().__init__(address, Handler)

    def working(self):
        return Working(self)

    def stop(self):
        """Says that it is not ready, takes no more connections, and lets what is being answered end."""
        self.application.ready, self.draining = False, True
        self.shutdown()
        # Who was let in by the system already is answered too.
        while select.select([self.socket], [], [], 0.02)[0]:
            self._handle_request_noblock()
        with self.idle:
            self.idle.wait_for(lambda: self.busy == 0, DRAIN_S)

    def server_close(self):
        super().server_close()
        self.application.close()


class Working:
    """Counts what is being answered."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        with self.server.idle:
            self.server.busy += 1

    def __exit__(self, *_):
        with self.server.idle:
            self.server.busy -= 1
            self.server.idle.notify_all()
