"""The app as ASGI: FastAPI, and a gate before it that every request passes."""
import http.client
import json
import sqlite3
import sys
import time

import anyio.from_thread
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Match

from app import messages
from app.api import reply, router
from app.application import not_allowed, problem
from app.blocks import hooks
from app.errors import HttpError, Invalid
from app.messages import Answer
from app.openapi import document
from app.schema import RESOURCES, TITLE


def create(application):
    """FastAPI's routes are those of the resources; what is none of them goes to the blocks."""
    api = FastAPI(title=TITLE, version="1.0.0", redirect_slashes=False, strict_content_type=False)
    routers = [router(application, resource) for resource in RESOURCES]
    for of in routers:
        api.include_router(of)
    api.openapi = lambda: document(api)

    async def told(request, error):
        return reply(problem(understood(error, request, routers)))

    for kind in (RequestValidationError, HTTPException, HttpError, ClientDisconnect, sqlite3.OperationalError, Exception):
        api.add_exception_handler(kind, told)

    async def of_blocks(scope, receive, send):
        await reply(await run_in_threadpool(application.route, scope["state"]["asked"]))(scope, receive, send)

    api.router.default = of_blocks
    return Gate(api, application)


def understood(error, request, routers):
    """An error of FastAPI's in our words."""
    if isinstance(error, RequestValidationError):
        return Invalid({field: reason for field, reason in map(wrong, error.errors())})
    if isinstance(error, HTTPException) and error.status_code == 405:
        matching = [route.methods for of in routers for route in of.routes if route.matches(request.scope)[0] is not Match.NONE]
        return not_allowed(request, set().union(*matching))
    if isinstance(error, ClientDisconnect):
        return HttpError(400, "cut_off", "the body ended before its Content-Length")
    if isinstance(error, HTTPException):
        return HttpError(error.status_code, "bad_request", str(error.detail))
    return error


def wrong(detail):
    """Field and reason of what Pydantic says."""
    _, *field = detail["loc"]
    if not field:
        return "body", "must be a JSON object"
    reasons = {"missing": "is required", "extra_forbidden": "is not a field"}
    return field[0], reasons.get(detail["type"]) or str(detail.get("ctx", {}).get("error", detail["msg"]))


class Gate:
    """Lets requests in, counts them and tells the blocks of the answers."""

    def __init__(self, api, application):
        self.api, self.application = api, application

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.api(scope, receive, send)
        started, answered, asked = time.monotonic(), [], self.asked(scope, receive)

        async def sending(message):
            if message["type"] == "http.response.start":
                answered.append(message["status"])
                self.observe(asked, message["status"], time.monotonic() - started)
            await send(message)

        # FastAPI knows no HEAD of a GET; the body of its answer is left out by the server.
        inside = {**scope, "method": "GET" if scope["method"] == "HEAD" else scope["method"], "state": {"asked": asked}}
        try:
            await run_in_threadpool(self.application.admit, asked)
            await self.api(inside, receive, sending)
        except Exception as error:
            if not answered:
                await reply(problem(error))(scope, receive, sending)

    def asked(self, scope, receive):
        """The request as the blocks know it; they read its body in threads of theirs."""
        headers = http.client.HTTPMessage()
        for name, value in scope["headers"]:
            headers[name.decode("latin-1")] = value.decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")

        def read(length):
            return anyio.from_thread.run(Request(scope, receive).body)

        return messages.Request(scope["method"], target, headers, read)

    def observe(self, asked, status, seconds):
        """Before it is sent: who has the answer finds it counted."""
        self.application.metrics.observe(asked.method, status, seconds)
        for answered in hooks("answered"):
            answered(self.application, asked, Answer(status))
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "message": f"{asked.method} {asked.path} {status}"}
        trace = (asked.headers.get("traceparent") or "").split("-")
        if len(trace) == 4:
            line["trace_id"] = trace[1]
        print(json.dumps(line), file=sys.stderr, flush=True)
