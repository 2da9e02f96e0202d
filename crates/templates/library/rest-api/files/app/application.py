"""What is done with a request, whoever sends it."""
import json
import re
import sqlite3
import sys
import threading

from app import api
from app.blocks import hooks
from app.errors import HttpError
from app.messages import Answer
from app.metrics import Metrics
from app.openapi import document
from app.store import Store


class Application:
    def __init__(self, directory):
        self.store, self.metrics = Store(directory), Metrics()
        self.ready, self.stopping = True, threading.Event()
        # (method, pattern of the path, handler of (request, match))
        self.routes = [
            ("GET", "/health", lambda request, match: self.health()),
            ("GET", "/metrics", lambda request, match: Answer(200, self.metrics.render(), content_type="text/plain; version=0.0.4; charset=utf-8")),
            ("GET", "/openapi.json", lambda request, match: Answer(200, document())),
        ]
        for routes in [*hooks("routes"), api.routes]:
            self.routes += routes(self)
        self.routes = [(method, re.compile(pattern, re.ASCII), handler) for method, pattern, handler in self.routes]
        for started in hooks("started"):
            started(self)

    def health(self):
        self.store.check()
        if not self.ready:
            raise HttpError(503, "stopping", "it is stopping")
        return Answer(200, {"status": "ok"})

    def changed(self, what, resource, owner, item):
        """After the commit."""
        for changed in hooks("changed"):
            changed(self, what, resource, {**item, "owner": owner})

    def handle(self, request):
        try:
            answer = self.route(request)
        except sqlite3.OperationalError as error:
            # Another version of the app is changing the data, or its disk is full.
            print(json.dumps({"message": f"the database: {error}"}), file=sys.stderr, flush=True)
            problem = {"error": {"code": "unavailable", "message": "the data cannot be reached just now; try again", "fields": {}}}
            answer = Answer(503, problem, {"Retry-After": "1"})
        except HttpError as error:
            body = {"error": {"code": error.code, "message": str(error), "fields": error.fields}}
            answer = Answer(error.status, body, dict(error.headers))
        for answered in hooks("answered"):
            answered(self, request, answer)
        return answer

    def route(self, request):
        for admit in hooks("admit"):
            admit(self, request)
        method = "GET" if request.method == "HEAD" else request.method
        if method != "GET" and request.headers.get("Sec-Fetch-Site") == "cross-site":
            raise HttpError(403, "forbidden", "another site's page may not do that")
        allowed = set()
        for of, pattern, handler in self.routes:
            match = pattern.fullmatch(request.path)
            if match and of == method:
                return handler(request, match)
            if match:
                allowed.add(of)
        if not allowed:
            raise HttpError(404, "not_found", f"there is nothing at {request.path}")
        allowed = ", ".join(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))
        raise HttpError(405, "method_not_allowed", f"{request.method} is not possible here", headers={"Allow": allowed})

    def close(self):
        self.stopping.set()
        for stopping in hooks("stopping"):
            stopping(self)
        self.store.close()
