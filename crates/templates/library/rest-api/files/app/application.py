"""What is done with a request, whoever sends it."""
import json
import re
import sqlite3
import sys
import threading

from app.blocks import hooks
from app.errors import HttpError
from app.index import index
from app.messages import Answer
from app.metrics import Metrics
from app.store import Store


class Application:
    def __init__(self, directory, *more):
        """`more`: functions that give routes, beside those of the blocks."""
        self.store, self.metrics = Store(directory), Metrics()
        self.ready, self.stopping = True, threading.Event()
        # (method, pattern of the path, handler of (request, match))
        self.routes = [
            ("GET", "/health", lambda request, match: self.health()),
            ("GET", "/metrics", lambda request, match: Answer(200, self.metrics.render(), content_type="text/plain; version=0.0.4; charset=utf-8")),
        ]
        for routes in [*hooks("routes"), *more]:
            self.routes += routes(self)
        # Pages have a first one of their own.
        self.routes.append(("GET", "/", index))
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
            self.admit(request)
            answer = self.route(request)
        except (HttpError, sqlite3.OperationalError) as error:
            answer = problem(error)
        for answered in hooks("answered"):
            answered(self, request, answer)
        return answer

    def route(self, request):
        method = "GET" if request.method == "HEAD" else request.method
        allowed = set()
        for of, pattern, handler in self.routes:
            match = pattern.fullmatch(request.path)
            if match and of == method:
                return handler(request, match)
            if match:
                allowed.add(of)
        if not allowed:
            raise HttpError(404, "not_found", f"there is nothing at {request.path}")
        raise not_allowed(request, allowed)

    def admit(self, request):
        """Blocks look at it first."""
        for admit in hooks("admit"):
            admit(self, request)
        if request.method not in ("GET", "HEAD") and request.headers.get("Sec-Fetch-Site") == "cross-site":
            raise HttpError(403, "forbidden", "another site's page may not do that")

    def close(self):
        self.stopping.set()
        for stopping in hooks("stopping"):
            stopping(self)
        self.store.close()


def not_allowed(request, allowed):
    allowed = ", ".join(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))
    return HttpError(405, "method_not_allowed", f"{request.method} is not possible here", headers={"Allow": allowed})


def problem(error):
    """What went wrong, as the client is told; the log gets the details."""
    if isinstance(error, sqlite3.OperationalError):
        # Another version of the app is changing the data, or its disk is full.
        print(json.dumps({"message": f"the database: {error}"}), file=sys.stderr, flush=True)
        error = HttpError(503, "unavailable", "the data cannot be reached just now; try again", headers={"Retry-After": "1"})
    elif not isinstance(error, HttpError):
        print(json.dumps({"message": f"failed: {error!r}"}), file=sys.stderr, flush=True)
        error = HttpError(500, "internal", "something went wrong here")
    return Answer(error.status, {"error": {"code": error.code, "message": str(error), "fields": error.fields}}, dict(error.headers))
