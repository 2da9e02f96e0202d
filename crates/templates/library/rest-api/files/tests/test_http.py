"""The app as its clients meet it."""
import json
import sqlite3
import threading
import unittest

from app.index import index
from app.messages import BODY_MOST, Request
from app.schema import PREFIX, RESOURCES, SEARCH, WRITABLE, referring
from app.server import Server
from tests.base import AppTest
from tests.examples import bad


class ReadTest(AppTest):
    def test_who_looks_at_the_root_is_told_what_there_is(self):
        for accept in ("text/html,*/*", "*/*"):
            answer = index(Request("GET", "/", {"Accept": accept}, None), None)
            for resource in RESOURCES:
                self.assertIn(f"{PREFIX}/{resource.path}", answer.data().decode())
        token, self.token = self.token, None
        self.assertIn(self.call("GET", "/")[0], (200, 303))
        self.token = token

    def test_pages_follow_each_other(self):
        for resource in RESOURCES:
            made = [self.make(resource, n)["id"] for n in range(5)]
            seen, after = [], 0
            while after is not None:
                status, page = self.call("GET", f"{self.place(resource)}?limit=2&after={after}")
                self.assertEqual(status, 200)
                seen += [entry["id"] for entry in page["items"]]
                after = page["next"]
            self.assertEqual([number for number in seen if number in made], made)
            for query in ("limit=0", "limit=201", "limit=x", "after=-1", "limit="):
                status, answer = self.call("GET", f"{self.place(resource)}?{query}")
                self.assertEqual((status, answer["error"]["code"]), (400, "invalid"), query)

    def test_what_is_there_can_be_read(self):
        for resource in RESOURCES:
            made = self.make(resource)
            self.assertEqual(self.call("GET", self.place(resource, made["id"])), (200, made))
            for place in (self.place(resource, 987654321), self.place(resource, 2**53)):
                status, answer = self.call("GET", place)
                self.assertEqual((status, answer["error"]["code"]), (404, "not_found"))

    def test_a_list_is_of_what_belongs_to_one(self):
        for resource in RESOURCES:
            for field in resource.fields:
                if field.references:
                    first, _other = self.make(resource), self.make(resource)
                    status, page = self.call("GET", f"{self.place(resource)}?{field.name}={first[field.name]}")
                    self.assertEqual((status, [entry["id"] for entry in page["items"]]), (200, [first["id"]]))
                    self.assertEqual(self.call("GET", f"{self.place(resource)}?{field.name}=x")[0], 400)

    def test_a_search_finds_what_has_all_the_words(self):
        for resource in RESOURCES:
            texts = [field for field in resource.fields if field.type == "text" and not field.choices and field.most is None]
            if not SEARCH or not texts or not WRITABLE:
                made = self.make(resource)
                status, page = self.call("GET", f"{self.place(resource)}?q=nothing%20like%20it&limit=200")
                self.assertEqual((status, made in page["items"]), (200, not SEARCH))
                continue
            before = len(self.call("GET", f"{self.place(resource)}?limit=200")[1]["items"])
            for words in ("100% Größe", "Größe_x", "other"):
                self.assertEqual(self.call("POST", self.place(resource), {**self.item(resource), texts[0].name: words})[0], 201)
            for query, expected in (("Gr%C3%B6%C3%9Fe", 2), ("%25%20Gr%C3%B6%C3%9Fe", 1), ("_", 1), ("other", 1), ("none", 0), ("", before + 3)):
                status, page = self.call("GET", f"{self.place(resource)}?q={query}&limit=200")
                self.assertEqual((status, len(page["items"])), (200, expected), query)
            for query in ("a+" * 21, "%00", "a" * 201):
                self.assertEqual(self.call("GET", f"{self.place(resource)}?q={query}")[0], 400)

    def test_unknown_places_and_methods_are_refused(self):
        place = self.place(RESOURCES[0])
        for path in ("/nothing", f"{place}/x", f"{place}/1/2/3", f"{place}/9999999999999999999"):
            self.assertEqual(self.call("GET", path)[0], 404, path)
        self.assertEqual(self.call("DELETE", place)[0], 405)
        self.assertEqual(self.headers["Allow"], "GET, HEAD, POST" if WRITABLE else "GET, HEAD")
        self.assertEqual(self.call("POST", f"{place}/1", {})[0], 405)

    def test_another_sites_page_changes_nothing(self):
        for headers, expected in (({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "same-origin"}, 422 if WRITABLE else 405)):
            self.assertEqual(self.call("POST", self.place(RESOURCES[0]), {"no such field": 1}, headers)[0], expected)

    def test_health_metrics_and_document(self):
        self.assertEqual(self.call("GET", "/health"), (200, {"status": "ok"}))
        self.assertEqual(self.call("HEAD", "/health"), (200, ""))
        status, metrics = self.call("GET", "/metrics")
        self.assertIn('http_requests_total{method="GET",status="200"} 1', metrics)
        status, document = self.call("GET", "/openapi.json")
        self.assertEqual((status, document["openapi"]), (200, "3.1.0"))
        for resource in RESOURCES:
            schema = document["components"]["schemas"]["".join(part.title() for part in resource.table.split("_"))]
            self.assertLessEqual({field.name for field in resource.fields}, set(schema["properties"]))
            self.assertIn(self.place(resource), document["paths"])

    def test_a_broken_database_is_an_error_without_details(self):
        store, self.token = self.application.store, None
        # Nobody uses it just now.
        with store.lock, store.read_lock:
            store.reader.close()
            store.reader = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        status, answer = self.call("GET", "/health")
        self.assertEqual((status, answer["error"]["code"]), (503, "unavailable"))
        self.application.health = lambda: 1 / 0
        status, answer = self.call("GET", "/health")
        self.assertEqual((status, answer["error"]["code"]), (500, "internal"))
        self.assertNotIn("sqlite", json.dumps(answer))

    def test_data_outlives_the_server(self):
        for resource in RESOURCES:
            created = self.make(resource)
            other = Server(("127.0.0.1", 0), self.directory.name)
            self.addCleanup(other.server_close)
            self.assertEqual(other.application.store.get(resource, self.owner, created["id"]), created)


@unittest.skipUnless(WRITABLE, "clients only read")
class WriteTest(AppTest):
    def test_what_is_made_can_be_changed_replaced_and_deleted(self):
        for resource in RESOURCES:
            created = self.make(resource)
            self.assertEqual(self.headers["Location"], f"{resource.path}/{created['id']}")
            place, name, other = self.place(resource, created["id"]), resource.fields[0].name, self.item(resource, 1)
            status, changed = self.call("PATCH", place, {name: other[name]})
            self.assertEqual(status, 200)
            self.assertEqual({**changed, "updated_at": ""}, {**created, name: changed[name], "updated_at": ""})
            status, replaced = self.call("PUT", place, other)
            self.assertEqual((status, replaced["id"], replaced["created_at"]), (200, created["id"], created["created_at"]))
            self.assertEqual(self.call("DELETE", place), (204, ""))
            for method, body in (("GET", None), ("PUT", other), ("PATCH", {}), ("DELETE", None)):
                status, answer = self.call(method, place, body)
                self.assertEqual((status, answer["error"]["code"]), (404, "not_found"), method)

    def test_only_required_fields_are_needed(self):
        for resource in RESOURCES:
            item = self.item(resource)
            status, created = self.call("POST", self.place(resource), {field.name: item[field.name] for field in resource.fields if field.asked})
            self.assertEqual(status, 201, created)
            for field in resource.fields:
                if not field.asked:
                    self.assertEqual(created[field.name], field.initial)

    def test_bad_fields_are_named(self):
        for resource in RESOURCES:
            item = self.item(resource)
            before = self.call("GET", self.place(resource))[1]["items"]
            for field in resource.fields:
                for value in bad(field):
                    with self.subTest(field=field.name, value=str(value)[:20]):
                        status, answer = self.call("POST", self.place(resource), {**item, field.name: value})
                        self.assertEqual(status, 422)
                        self.assertIn(field.name, answer["error"]["fields"])
            status, answer = self.call("POST", self.place(resource), {**item, "no such field": 1})
            self.assertEqual((status, list(answer["error"]["fields"])), (422, ["no such field"]))
            self.assertEqual(self.call("GET", self.place(resource))[1]["items"], before)

    def test_what_is_unique_is_there_once(self):
        for resource in RESOURCES:
            first, second = self.make(resource), self.make(resource, 1)
            for field in resource.fields:
                again = {**self.item(resource), field.name: first[field.name]}
                status, answer = self.call("POST", self.place(resource), again)
                self.assertEqual(status, 409 if field.unique else 201)
                status, answer = self.call("PATCH", self.place(resource, second["id"]), {field.name: first[field.name]})
                self.assertEqual((status, list(answer["error"]["fields"]) if field.unique else []), (409, [field.name]) if field.unique else (200, []))

    def test_what_others_refer_to_stays(self):
        for resource in RESOURCES:
            for other, field in referring(resource):
                child = self.make(other)
                status, answer = self.call("DELETE", self.place(resource, child[field.name]))
                self.assertEqual((status, answer["error"]["code"]), (409, "in_use"))
                self.assertEqual(self.call("DELETE", self.place(other, child["id"]))[0], 204)
                self.assertEqual(self.call("DELETE", self.place(resource, child[field.name]))[0], 204)

    def test_bodies_that_are_no_json_are_refused(self):
        place = self.place(RESOURCES[0])
        status, answer = self.call("POST", place, b'{"\\ud800": 1}')
        self.assertEqual((status, answer["error"]["code"]), (422, "invalid"))
        for body in (b"", b"{", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000):
            status, answer = self.call("POST", place, body)
            self.assertEqual((status, answer["error"]["code"]), (400, "not_json"), body[:10])
        self.assertEqual(self.call("POST", place, b"x", {"Content-Length": str(BODY_MOST + 1)})[0], 413)

    def test_clients_at_once_lose_nothing(self):
        resource = RESOURCES[0]
        threads = [threading.Thread(target=lambda: [self.make(resource) for _ in range(5)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(self.call("GET", f"{self.place(resource)}?limit=200")[1]["items"]), 40)


if __name__ == "__main__":
    unittest.main()
