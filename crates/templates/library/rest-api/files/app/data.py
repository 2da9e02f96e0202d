"""What is done to the data as a whole, beside the app: `copy` takes what is in DATA_DIR to COPY_DIR while the app runs, `migrate` brings
what is in DATA_DIR to this version of the code, or says why not."""
import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import sys

from app.migrations import Impossible, migrate


def take(source, target, folders):
    """Files that are written once each and never changed, so that a copy of one is whole; what goes away meanwhile is elsewhere."""
    for folder in folders:
        if (source / folder).exists():
            (target / folder).mkdir(exist_ok=True)
            for path in (source / folder).iterdir():
                if path.suffix != ".part":
                    with contextlib.suppress(FileNotFoundError):
                        shutil.copy2(path, target / folder / path.name)


def copy(source, target):
    target.mkdir(parents=True, exist_ok=True)
    # Before the database: what is loaded meanwhile is in it, and is passed over when it is seen again.
    take(source, target, ("inbox",))
    if (source / "data.sqlite").exists():
        # By the database itself: what is committed at one moment, whoever writes meanwhile.
        old, new = sqlite3.connect(source / "data.sqlite", timeout=10), sqlite3.connect(target / "data.sqlite")
        with new:
            old.backup(new)
        old.close()
        new.close()
    take(source, target, ("files", "done"))
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
