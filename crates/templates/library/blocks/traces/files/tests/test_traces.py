import http.server
import json
import os
import threading
import unittest

from app.schema import RESOURCES
from app.traces import WAITING_MOST, Exporter
from tests.base import AppTest

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.spans += body["resourceSpans"][0]["scopeSpans"][0]["spans"]
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class TraceTest(AppTest):
    def setUp(self):
        self.collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
        self.collector.spans, self.collector.status = [], 200
        threading.Thread(target=self.collector.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.addCleanup(self.collector.server_close)
        self.addCleanup(self.collector.shutdown)
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{self.collector.server_address[1]}"
        self.addCleanup(os.environ.pop, "OTEL_EXPORTER_OTLP_ENDPOINT")
        super().setUp()

    def test_a_request_is_a_span_of_its_callers_trace(self):
        self.call("GET", self.place(RESOURCES[0]), headers={"traceparent": PARENT})
        self.assertTrue(self.headers["traceresponse"].startswith(f"00-{TRACE}-"))
        self.call("GET", "/nothing", headers={"traceparent": "nonsense"})
        self.call("GET", "/health/live")
        self.application.exporter.stop()
        mine = [span for span in self.collector.spans if span["traceId"] == TRACE]
        self.assertEqual([(span["parentSpanId"], span["kind"], span["status"]["code"]) for span in mine], [("b7ad6b7169203331", 2, 1)])
        self.assertTrue(any(attribute["value"]["stringValue"] == "404" for span in self.collector.spans for attribute in span["attributes"]))
        self.assertFalse(any("live" in json.dumps(span) for span in self.collector.spans), "probes are not told of")

    def test_a_collector_that_is_away_costs_nothing_but_spans(self):
        exporter = Exporter("http://127.0.0.1:1", "app")
        exporter.add({})
        exporter.stop()
        self.assertEqual(exporter.lost, 1)
        for _ in range(WAITING_MOST + 1):
            exporter.add({})
        self.assertEqual(exporter.lost, 2)

    def test_probes(self):
        self.assertEqual(self.call("GET", "/health/live"), (200, {"status": "alive"}))
        self.assertEqual(self.call("GET", "/health/ready"), (200, {"status": "ready"}))
        self.application.ready = False
        self.assertEqual((self.call("GET", "/health/ready")[0], self.call("GET", "/health/live")[0]), (503, 200))


if __name__ == "__main__":
    unittest.main()
