"""The data as a whole: copied while the app runs, and brought along."""
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import unittest

from app.data import main
from app.migrations import known
from app.schema import RESOURCES
from app.server import Server
from tests.base import AppTest


class DataTest(AppTest):
    def test_a_copy_taken_while_it_runs_has_everything(self):
        made = [self.make(resource) for resource in RESOURCES]
        with tempfile.TemporaryDirectory() as target:
            self.assertEqual(main(["copy"], {"DATA_DIR": self.directory.name, "COPY_DIR": target}), 0)
            self.assertEqual(main(["migrate"], {"DATA_DIR": target}), 0)
            other = Server(("127.0.0.1", 0), target)
            self.addCleanup(other.server_close)
            for resource, item in zip(RESOURCES, made):
                self.assertEqual(other.application.store.get(resource, self.owner, item["id"]), item)

    def test_it_says_why_the_data_cannot_go_along(self):
        with tempfile.TemporaryDirectory() as directory:
            connection = sqlite3.connect(pathlib.Path(directory) / "data.sqlite")
            connection.execute("CREATE TABLE _migration (version INTEGER PRIMARY KEY, undo TEXT NOT NULL, digest TEXT NOT NULL)")
            connection.execute("INSERT INTO _migration VALUES (?, '[\"nonsense\"]', '')", (known()[-1][0] + 1,))
            connection.commit()
            connection.close()
            self.assertEqual(main(["migrate"], {"DATA_DIR": directory}), 1)

    def test_it_is_a_program(self):
        with tempfile.TemporaryDirectory() as directory:
            environment = {**os.environ, "DATA_DIR": directory}
            for arguments, code in ((["migrate"], 0), ([], 2), (["copy", "twice"], 2)):
                ended = subprocess.run([sys.executable, "-m", "app.data", *arguments], env=environment, capture_output=True)
                self.assertEqual(ended.returncode, code, ended.stderr)


if __name__ == "__main__":
    unittest.main()
