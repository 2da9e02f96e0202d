import unittest

from app.schema import RESOURCES
from app.sync import CHANGES_MOST
from tests.base import AppTest


class SyncTest(AppTest):
    def fetch(self, since=0, limit=200):
        status, page = self.call("GET", f"/sync?since={since}&limit={limit}")
        self.assertEqual(status, 200)
        return page

    def send(self, *changes):
        status, answer = self.call("POST", "/sync", {"changes": list(changes)})
        self.assertEqual(status, 200, answer)
        return answer["results"]

    def test_what_changed_since_is_fetched_once_in_its_last_state(self):
        for resource in RESOURCES:
            before = self.fetch()["next"]
            made = self.make(resource)
            self.call("PATCH", self.place(resource, made["id"]), {})
            changes = [change for change in self.fetch(before)["changes"] if change["resource"] == resource.path]
            self.assertEqual([change["id"] for change in changes], [made["id"]])
            seen = self.fetch(before)["next"]
            self.assertEqual(self.fetch(seen), {"changes": [], "next": seen, "more": False})
            self.call("DELETE", self.place(resource, made["id"]))
            self.assertEqual(self.fetch(seen)["changes"], [{"resource": resource.path, "id": made["id"], "deleted": True, "item": None}])

    def test_long_ways_are_in_steps(self):
        for _ in range(3):
            self.make(RESOURCES[0])
        since, seen, more = 0, 0, True
        while more:
            page = self.fetch(since, 1)
            since, more = page["next"], page["more"]
            seen += len(page["changes"])
        self.assertEqual(seen, len(self.fetch()["changes"]))
        self.assertEqual(self.call("GET", "/sync?since=x")[0], 400)

    def test_what_a_device_did_offline_is_done_once(self):
        for resource in RESOURCES:
            item = self.item(resource)
            create = {"key": f"{resource.path}-1", "resource": resource.path, "op": "create", "item": item}
            first, again = self.send(create), self.send(create)
            self.assertEqual((first, first[0]["status"]), (again, "done"))
            made = first[0]["item"]
            update = {"key": f"{resource.path}-2", "resource": resource.path, "op": "update", "id": made["id"], "item": {}, "seen": made["updated_at"]}
            changed = self.send(update)[0]["item"]
            stale = {**update, "key": f"{resource.path}-3", "seen": "2020-01-01T00:00:00.000Z"}
            conflict = self.send(stale)[0]
            self.assertEqual((conflict["status"], conflict["item"]), ("conflict", changed))
            delete = {"key": f"{resource.path}-4", "resource": resource.path, "op": "delete", "id": made["id"]}
            self.assertEqual(self.send(delete)[0]["status"], "done")
            self.assertEqual(self.send({**delete, "key": f"{resource.path}-5"})[0]["error"]["code"], "not_found")

    def test_one_that_is_refused_leaves_the_others(self):
        resource = RESOURCES[0]
        item = self.item(resource)
        results = self.send(
            {"key": "a", "resource": "nothing", "op": "create"},
            {"key": "b", "resource": resource.path, "op": "create", "item": {"no such field": 1}},
            {"key": "c", "resource": resource.path, "op": "grow"},
            {"key": "d", "resource": resource.path, "op": "delete", "id": True},
            {"key": "e", "resource": resource.path, "op": "create", "item": item},
        )
        self.assertEqual([result["status"] for result in results], ["refused"] * 4 + ["done"])
        self.assertIn("no such field", results[1]["error"]["fields"])

    def test_what_is_no_list_of_changes_is_refused(self):
        change = {"key": "a", "resource": RESOURCES[0].path, "op": "delete", "id": 1}
        for body in ([], {"changes": []}, {"changes": [change] * (CHANGES_MOST + 1)}, {"changes": ["a"]}, {"changes": [{**change, "key": ""}]}, {"changes": [{**change, "who": 1}]}):
            self.assertEqual(self.call("POST", "/sync", body)[0], 422)


if __name__ == "__main__":
    unittest.main()
