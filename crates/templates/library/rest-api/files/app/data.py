"""What is done to the data as a whole, beside the app: `copy` takes what is in DATA_DIR to COPY_DIR while the app runs, `migrate` brings
what is in DATA_DIR to this version of the code, or says why not."""
import json
import os
import pathlib
import shutil
import sqlite3
import sys

from app.migrations import Impossible, migrate

# Written once each and never changed, so that a copy of one is whole.
FOLDERS = ("files", "inbox", "done")


def copy(source, target):
    target.mkdir(parents=True, exist_ok=True)
    if (source / "data.sqlite").exists():
        # By the database itself: what is committed at one moment, whoever writes meanwhile.
        old, new = sqlite3.connect(source / "data.sqlite", timeout=10), sqlite3.connect(target / "data.sqlite")
        with new:
            old.backup(new)
        old.close()
        new.close()
    for folder in FOLDERS:
        if (source / folder).exists():
            shutil.copytree(source / folder, target / folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.part"))
    return {"copied": sorted(path.name for path in target.iterdir())}


def bring(source):
    connection = sqlite3.connect(source / "data.sqlite", isolation_level=None, timeout=10)
    try:
        before, now = migrate(connection)
    finally:
        connection.close()
    return {"from": before, "to": now}


def main(arguments, environment=os.environ):
    source = pathlib.Path(environment.get("DATA_DIR", "data"))
    try:
        if arguments == ["copy"]:
            done = copy(source, pathlib.Path(environment["COPY_DIR"]))
        elif arguments == ["migrate"]:
            done = bring(source)
        else:
            print("say copy or migrate", file=sys.stderr)
            return 2
    except (Impossible, OSError, sqlite3.Error, shutil.Error) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(done))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
