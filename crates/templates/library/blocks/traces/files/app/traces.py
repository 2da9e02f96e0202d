"""Traces (W3C trace context): each request is a span, told by its parent's trace or one of its own, sent by OTLP over HTTP when
`OTEL_EXPORTER_OTLP_ENDPOINT` says where. Probes for an orchestrator: `/health/live` and `/health/ready`."""
import http.client
import json
import os
import queue
import re
import threading
import time
import urllib.request

from app.errors import HttpError
from app.messages import Answer
from app.operations import operation

PARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
BATCH, WAITING_MOST = 200, 10_000
PROBES = ("/health/live", "/health/ready")


class Exporter:
    """Sends spans in batches; what does not get through is left behind, and counted."""

    def __init__(self, endpoint, service):
        self.url, self.service = endpoint.rstrip("/") + "/v1/traces", service
        self.spans, self.lost = queue.Queue(WAITING_MOST), 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def add(self, span):
        try:
            self.spans.put_nowait(span)
        except queue.Full:
            self.lost += 1

    def run(self):
        while True:
            batch = [self.spans.get()]
            while len(batch) < BATCH and batch[-1] is not None and not self.spans.empty():
                batch.append(self.spans.get())
            ends = batch[-1] is None
            batch = [span for span in batch if span is not None]
            if batch:
                self.send(batch)
            if ends:
                return

    def send(self, batch):
        resource = {"attributes": [{"key": "service.name", "value": {"stringValue": self.service}}]}
        body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "app"}, "spans": batch}]}]}
        request = urllib.request.Request(self.url, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except (OSError, ValueError, http.client.HTTPException):
            self.lost += len(batch)

    def stop(self):
        try:
            self.spans.put(None, timeout=1)
        except queue.Full:
            return  # It is lost with the process.
        self.thread.join(6)


def started(application):
    endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    application.exporter = Exporter(endpoint, os.environ.get("OTEL_SERVICE_NAME", "app")) if endpoint.startswith(("http://", "https://")) else None


def stopping(application):
    if application.exporter:
        application.exporter.stop()


def admit(application, request):
    """The span of the request; its end is told in `answered`."""
    parent = PARENT.fullmatch(request.headers.get("traceparent") or "")
    trace = parent[1] if parent and int(parent[1], 16) else os.urandom(16).hex()
    request.span = {"traceId": trace, "spanId": os.urandom(8).hex(), "startTimeUnixNano": str(time.time_ns())}
    if parent:
        request.span["parentSpanId"] = parent[2]


def answered(application, request, answer):
    span = getattr(request, "span", None)
    if span is None:
        return
    answer.headers.setdefault("traceresponse", f"00-{span['traceId']}-{span['spanId']}-01")
    if application.exporter and request.path not in PROBES:
        attributes = {"http.request.method": request.method, "url.path": request.path, "http.response.status_code": str(answer.status)}
        span.update(
            name=f"{request.method} {request.path.strip('/').split('/')[0] or '/'}",
            kind=2,
            endTimeUnixNano=str(time.time_ns()),
            attributes=[{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
            status={"code": 2 if answer.status >= 500 else 1},
        )
        application.exporter.add(span)


def routes(application):
    def ready(request, match):
        if not application.ready:
            raise HttpError(503, "stopping", "it is stopping")
        application.store.check()
        return Answer(200, {"status": "ready"})

    return [("GET", PROBES[0], lambda request, match: Answer(200, {"status": "alive"})), ("GET", PROBES[1], ready)]


def is_open(request):
    return request.path in PROBES


def describe(document):
    schema = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
    document["components"]["schemas"]["Health"] = schema
    document["paths"][PROBES[0]] = {"get": operation("Whether it lives", {"200": "Health"})}
    document["paths"][PROBES[1]] = {"get": operation("Whether it takes requests", {"200": "Health", "503": "Error"})}
