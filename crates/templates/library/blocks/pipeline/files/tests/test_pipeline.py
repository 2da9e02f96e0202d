import csv
import datetime
import io
import json
import os
import time
import unittest
import unittest.mock

from app import pipeline
from app.migrations import quoted
from app.plan import EVERY_S, FORMATS
from app.schema import RESOURCES
from tests.base import AppTest

RESOURCE = RESOURCES[0]
KIND = FORMATS[0]


class PipelineTest(AppTest):
    def setUp(self):
        super().setUp()
        deadline = time.monotonic() + 10
        while pipeline.due(self.application) and time.monotonic() < deadline:
            time.sleep(0.02)  # The first run comes by itself.

    def row(self, choice=0):
        return {name: value for name, value in self.item(RESOURCE, choice).items() if value is not None}

    def file(self, rows):
        if KIND == "json":
            return json.dumps(rows).encode()
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, [field.name.replace("_", " ").title() for field in RESOURCE.fields])
        writer.writeheader()
        for row in rows:
            writer.writerow({name.replace("_", " ").title(): value for name, value in row.items()})
        return text.getvalue().encode()

    def give(self, name, data):
        status, answer = self.call("PUT", f"/inbox/{name}", data)
        self.assertEqual((status, answer["size"]), (202, len(data)))

    def run_now(self):
        status, run = self.call("POST", "/runs", {})
        self.assertEqual((status, run["error"]), (201, None), run)
        return run

    def count(self):
        with self.application.store.transaction() as connection:
            return connection.execute(f"SELECT count(*) FROM {quoted(RESOURCE.table)}").fetchone()[0]

    def test_what_is_good_is_loaded_and_what_is_not_is_kept_with_the_reason(self):
        wrong = {**self.row(), RESOURCE.fields[0].name: "x" * 10_001 if RESOURCE.fields[0].type == "text" else "nonsense"}
        self.give(f"a.{KIND}", self.file([self.row(), wrong, self.row(1)]))
        run = self.run_now()
        self.assertEqual((run["files"], run["loaded"], run["rejected"], run["skipped"]), (1, 2, 1, 0))
        rejects = self.call("GET", "/rejects")[1]["items"]
        self.assertEqual((rejects[0]["run"], rejects[0]["file"][:2]), (run["id"], "a."))
        self.assertIn(RESOURCE.fields[0].name, rejects[0]["reason"])
        self.assertEqual(len(self.call("GET", self.place(RESOURCE))[1]["items"]), 2)
        self.assertEqual(self.call("GET", f"/runs/{run['id']}"), (200, run))

    def test_a_file_is_loaded_once_whatever_its_name(self):
        data = self.file([self.row(), self.row(1)])
        for name, expected in ((f"a.{KIND}", (2, 0)), (f"a.{KIND}", (0, 1)), (f"b.{KIND}", (0, 1))):
            self.give(name, data)
            run = self.run_now()
            self.assertEqual((run["loaded"], run["skipped"]), expected)
        self.assertEqual(self.count(), 2)
        self.assertEqual(self.run_now()["files"], 0)

    def test_a_crash_before_the_commit_loads_nothing_and_after_it_nothing_twice(self):
        self.give(f"a.{KIND}", self.file([self.row(), self.row(1)]))
        put, replace = pipeline.put, pipeline.os.replace

        def crash(*_):
            raise OSError("cut off")

        try:
            pipeline.put = crash
            self.assertIn("cut off", pipeline.run(self.application, "request")["error"])
            self.assertEqual(self.count(), 0)
            pipeline.put, pipeline.os.replace = put, lambda old, new: crash() if new.parent.name == "done" else replace(old, new)
            self.assertIn("cut off", pipeline.run(self.application, "request")["error"])
        finally:
            pipeline.put, pipeline.os.replace = put, replace
        self.assertEqual(self.count(), 2)
        self.assertEqual(self.run_now()["skipped"], 1)
        self.assertEqual(self.count(), 2)

    def test_a_row_with_a_unique_field_replaces_the_one_before(self):
        if not any(field.unique for field in RESOURCE.fields):
            return
        row = self.row()
        for choice in range(2):
            fresh = self.row(choice)
            self.give(f"{choice}.{KIND}", self.file([{**fresh, **{field.name: row[field.name] for field in RESOURCE.fields if field.unique}}]))
            self.run_now()
        self.assertEqual(self.count(), 1)

    def test_what_is_no_file_of_its_kind_is_rejected(self):
        for name, data, reason in (("a.txt", b"x", "is not"), (f"a.{KIND}", b"\xff", "UTF-8"), ("a.csv", b'a,b\n"1,2\n', "not"), ("a.json", b"3", "not"), ("a.jsonl", b'{"a": 1}\nx\n', "")):
            self.give(name, data)
            run = self.run_now()
            self.assertGreaterEqual(run["rejected"], 1, name)
            self.assertIn(reason, self.call("GET", "/rejects?limit=1")[1]["items"][0]["reason"])
        self.assertEqual([wrong for _, _, wrong in pipeline.rows_of_csv("a,b\n\n1,2\n1\n")][-1], "it has 1 cells, and the first line 2")
        self.assertEqual([line for line, _, _ in pipeline.rows_of_json('{"a": 1}\n\n{"a": 2}')], [1, 3])

    def test_two_files_of_one_name_are_two(self):
        self.give(f"a.{KIND}", self.file([self.row()]))
        self.give(f"a.{KIND}", self.file([self.row(1)]))
        self.assertEqual(self.run_now()["files"], 2)
        self.assertEqual([wrong for _, _, wrong in pipeline.rows_of_csv("a,A\n1,2\n")], ["a column is there twice"])

    def test_what_was_being_read_is_read_again(self):
        (self.application.store.directory / "working" / f"a.{KIND}").write_bytes(self.file([self.row()]))
        pipeline.started(self.application)
        self.assertEqual(self.run_now()["loaded"], 1)

    def test_where_a_token_is_set_who_gives_files_has_it(self):
        with unittest.mock.patch.dict(os.environ, {"PIPELINE_TOKEN": "a secret"}):
            for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic a secret"}):
                self.assertEqual(self.call("PUT", "/inbox/a.csv", b"x", headers)[0], 401)
                self.assertEqual(self.call("POST", "/runs", {}, headers)[0], 401)
                self.assertEqual(self.call("GET", "/rejects", headers=headers)[0], 401)
            self.assertEqual(self.call("GET", self.place(RESOURCE))[0], 200)
            self.assertEqual(self.call("PUT", "/inbox/a.csv", b"x", {"Authorization": "Bearer a secret"})[0], 202)

    def test_names_that_lead_elsewhere_are_refused(self):
        for name in ("..", "a%2Fb", "a.part", "%20a", "x" * 101):
            self.assertEqual(self.call("PUT", f"/inbox/{name}", b"x")[0], 422, name)

    def test_a_run_that_was_missed_is_made_up_for_once(self):
        self.assertFalse(pipeline.due(self.application))
        long_ago = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=10 * EVERY_S)).isoformat().replace("+00:00", "Z")
        with self.application.store.transaction() as connection:
            connection.execute("UPDATE _run SET started_at = ?", (long_ago,))
        deadline = time.monotonic() + 10
        while pipeline.due(self.application):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        runs = self.call("GET", "/runs?limit=1")[1]
        self.assertEqual((runs["items"][0]["why"], runs["next"]), ("schedule", runs["items"][0]["id"]))
        self.assertEqual(len(self.call("GET", "/runs")[1]["items"]), 2)

    def test_a_run_that_fails_is_tried_again(self):
        with self.application.store.transaction() as connection:
            connection.execute("UPDATE _run SET started_at = '2020-01-01T00:00:00.000Z'")
        run, pipeline.run = pipeline.run, self.fail_once
        self.failures = 0
        try:
            deadline = time.monotonic() + 10
            while not self.failures:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)
        finally:
            pipeline.run = run
        deadline = time.monotonic() + 10
        while pipeline.due(self.application):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def fail_once(self, *_):
        self.failures += 1
        raise OSError("the disk is full")

    def test_runs_that_are_not_there(self):
        self.assertEqual(self.call("GET", "/runs/987654")[0], 404)


if __name__ == "__main__":
    unittest.main()
