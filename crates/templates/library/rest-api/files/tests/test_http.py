"""The API as its clients see it: a real server on a free port, a real database in a fresh directory."""
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import unittest

from app.schema import FIELDS, PATH, SEARCH
from app.server import BODY_MOST, Server, main
from tests.examples import bad, item

REQUIRED = [field for field in FIELDS if field.required]


class HttpTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.server = Server(("127.0.0.1", 0), self.directory.name)
        self.port = self.server.server_address[1]
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()

        def stop():
            self.server.shutdown()
            thread.join()
            self.server.server_close()

        self.addCleanup(stop)

    def call(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        self.addCleanup(connection.close)
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        self.headers = answer.headers
        return answer.status, json.loads(text) if "json" in (answer.headers.get("Content-Type") or "") and text else text

    def make(self, choice=0):
        status, created = self.call("POST", f"/{PATH}", item(choice))
        self.assertEqual(status, 201, created)
        return created

    def test_what_is_made_can_be_read_changed_replaced_and_deleted(self):
        created = self.make()
        self.assertEqual(self.headers["Location"], f"{PATH}/{created['id']}")
        place = f"/{PATH}/{created['id']}"
        self.assertEqual(self.call("GET", place), (200, created))
        name = FIELDS[0].name
        status, changed = self.call("PATCH", place, {name: item(1)[name]})
        self.assertEqual(status, 200)
        self.assertEqual({**changed, "updated_at": ""}, {**created, name: changed[name], "updated_at": ""})
        status, replaced = self.call("PUT", place, item(1))
        self.assertEqual((status, replaced["id"], replaced["created_at"]), (200, created["id"], created["created_at"]))
        self.assertEqual(self.call("DELETE", place), (204, ""))
        for method, body in (("GET", None), ("PUT", item()), ("PATCH", {}), ("DELETE", None)):
            status, answer = self.call(method, place, body)
            self.assertEqual((status, answer["error"]["code"]), (404, "not_found"), method)

    def test_only_required_fields_are_needed(self):
        status, created = self.call("POST", f"/{PATH}", {field.name: item()[field.name] for field in REQUIRED})
        self.assertEqual(status, 201)
        for field in FIELDS:
            if not field.required:
                self.assertEqual(created[field.name], False if field.type == "boolean" else None)

    def test_bad_fields_are_named(self):
        for field in FIELDS:
            for value in bad(field):
                with self.subTest(field=field.name, value=str(value)[:20]):
                    status, answer = self.call("POST", f"/{PATH}", {**item(), field.name: value})
                    self.assertEqual(status, 422)
                    self.assertIn(field.name, answer["error"]["fields"])
        status, answer = self.call("POST", f"/{PATH}", {**item(), "no such field": 1})
        self.assertEqual((status, list(answer["error"]["fields"])), (422, ["no such field"]))
        self.assertEqual(self.call("GET", f"/{PATH}")[1]["items"], [])

    def test_what_is_unique_is_there_once(self):
        first, second = self.make(), self.make(1)
        for field in FIELDS:
            again = {**item(), field.name: first[field.name]}
            status, answer = self.call("POST", f"/{PATH}", again)
            self.assertEqual(status, 409 if field.unique else 201)
            status, answer = self.call("PATCH", f"/{PATH}/{second['id']}", {field.name: first[field.name]})
            self.assertEqual((status, list(answer["error"]["fields"]) if field.unique else []), (409, [field.name]) if field.unique else (200, []))

    def test_pages_follow_each_other(self):
        made = [self.make(n)["id"] for n in range(5)]
        seen, after = [], 0
        while after is not None:
            status, page = self.call("GET", f"/{PATH}?limit=2&after={after}")
            self.assertEqual(status, 200)
            seen += [entry["id"] for entry in page["items"]]
            after = page["next"]
        self.assertEqual(seen, made)
        for query in ("limit=0", "limit=201", "limit=x", "after=-1", "limit="):
            status, answer = self.call("GET", f"/{PATH}?{query}")
            self.assertEqual((status, answer["error"]["code"]), (400, "invalid"), query)

    def test_a_search_finds_what_has_all_the_words(self):
        texts = [field for field in FIELDS if field.type == "text" and not field.choices and field.most is None]
        if not SEARCH or not texts:
            status, page = self.call("GET", f"/{PATH}?q=nothing")
            self.assertEqual((status, page["items"]), (200, []))
            return
        for words in ("100% Größe", "Größe_x", "other"):
            self.assertEqual(self.call("POST", f"/{PATH}", {**item(), texts[0].name: words})[0], 201)
        for query, expected in (("Gr%C3%B6%C3%9Fe", 2), ("%25%20Gr%C3%B6%C3%9Fe", 1), ("_", 1), ("other", 1), ("none", 0), ("", 3)):
            status, page = self.call("GET", f"/{PATH}?q={query}&limit=10")
            self.assertEqual((status, len(page["items"])), (200, expected), query)
        for query in ("a+" * 21, "%00"):
            self.assertEqual(self.call("GET", f"/{PATH}?q={query}")[0], 400)

    def test_bodies_that_are_no_json_are_refused(self):
        for body in (b"", b"{", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000):
            status, answer = self.call("POST", f"/{PATH}", body)
            self.assertEqual((status, answer["error"]["code"]), (400, "not_json"), body[:10])
        self.assertEqual(self.call("POST", f"/{PATH}", b"x", {"Content-Length": str(BODY_MOST + 1)})[0], 413)
        self.assertEqual(self.call("POST", f"/{PATH}", None, {"Content-Length": "abc"})[0], 411)

    def test_unknown_places_and_methods_are_refused(self):
        for path in ("/", "/nothing", f"/{PATH}/x", f"/{PATH}/9999999999999999", f"/{PATH}/1/2"):
            self.assertEqual(self.call("GET", path)[0], 404, path)
        self.assertEqual(self.call("DELETE", f"/{PATH}")[0], 405)
        self.assertEqual(self.headers["Allow"], "GET, HEAD, POST")
        self.assertEqual(self.call("POST", f"/{PATH}/1", {})[0], 405)

    def test_a_refused_body_does_not_become_the_next_request(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.addCleanup(connection.close)
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /health HTTP/1.1\r\n\r\n        ")
        answers = b""
        while chunk := connection.recv(4096):
            answers += chunk
        self.assertEqual(answers.count(b"HTTP/1.1 "), 1)

    def test_health_metrics_and_document(self):
        self.assertEqual(self.call("GET", "/health"), (200, {"status": "ok"}))
        self.assertEqual(self.call("HEAD", "/health"), (200, ""))
        status, metrics = self.call("GET", "/metrics")
        self.assertIn('http_requests_total{method="GET",status="200"} 1', metrics)
        status, document = self.call("GET", "/openapi.json")
        self.assertEqual((status, document["openapi"]), (200, "3.1.0"))
        self.assertEqual(set(document["components"]["schemas"]["Input"]["properties"]), {field.name for field in FIELDS})

    def test_a_broken_database_is_an_error_without_details(self):
        self.server.store.connection.close()
        self.server.store.connection = sqlite3.connect(":memory:", check_same_thread=False)
        status, answer = self.call("GET", f"/{PATH}")
        self.assertEqual((status, answer["error"]["code"]), (500, "internal"))
        self.assertNotIn("sqlite", json.dumps(answer))

    def test_data_outlives_the_server(self):
        created = self.make()
        other = Server(("127.0.0.1", 0), self.directory.name)
        self.addCleanup(other.server_close)
        self.assertEqual(other.store.get(created["id"]), created)

    def test_clients_at_once_lose_nothing(self):
        threads = [threading.Thread(target=lambda: [self.make() for _ in range(5)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.call("GET", f"/{PATH}?limit=200")[1]["items"]), 40)


class ProcessTest(unittest.TestCase):
    def test_it_serves_until_it_is_told_to_stop(self):
        with tempfile.TemporaryDirectory() as directory:
            environment = {**os.environ, "PORT": "0", "DATA_DIR": directory}
            process = subprocess.Popen([sys.executable, "-m", "app"], env=environment, stderr=subprocess.PIPE, text=True)
            line = process.stderr.readline()
            port = int(line.rsplit(":", 1)[1])
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/health")
            self.assertEqual(connection.getresponse().read(), b'{"status": "ok"}')
            connection.close()
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            process.stderr.close()
            self.assertEqual(process.wait(10), 0)

    def test_main_serves_and_stops(self):
        with tempfile.TemporaryDirectory() as directory:
            timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
            timer.start()
            self.assertEqual(main({"PORT": "0", "DATA_DIR": directory}), 0)

    def test_bad_settings_are_named(self):
        self.assertEqual(main({"PORT": "x"}), 2)
        with socket.create_server(("127.0.0.1", 0)) as taken, tempfile.TemporaryDirectory() as directory:
            self.assertEqual(main({"PORT": str(taken.getsockname()[1]), "DATA_DIR": directory}), 1)


if __name__ == "__main__":
    unittest.main()
