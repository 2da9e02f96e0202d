"""Extract, validate, load: files in the inbox are read, each row is checked, and what is good is loaded, a file in one transaction. A
file that was loaded is not loaded again, whatever its name; a row with a unique field replaces the one that has the same there. What is
wrong is kept with the reason."""
import csv
import datetime
import hashlib
import hmac
import io
import json
import os
import re
import sqlite3
import threading
import urllib.parse

from app.listing import whole
from app.errors import HttpError, Invalid, Missing, Taken
from app.messages import Answer
from app.migrations import quoted
from app.operations import operation, query
from app.plan import EVERY_S, FORMATS
from app.schema import RESOURCES
from app.times import now
from app.validation import INTEGER_MOST, check, from_text

FILE_MOST = 64 << 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}")
LIMIT_MOST = 200


def tables(connection):
    connection.execute(
        "CREATE TABLE IF NOT EXISTS _run (id INTEGER PRIMARY KEY AUTOINCREMENT, why TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT, files INTEGER NOT NULL DEFAULT 0, "
        "loaded INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0, error TEXT)"
    )
    connection.execute("CREATE TABLE IF NOT EXISTS _loaded (sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, run INTEGER NOT NULL, loaded_at TEXT NOT NULL)")
    connection.execute("CREATE TABLE IF NOT EXISTS _reject (id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, file TEXT NOT NULL, line INTEGER NOT NULL, row TEXT NOT NULL, reason TEXT NOT NULL)")
    # What was cut off by a crash was rolled back, but for this line.
    connection.execute("UPDATE _run SET finished_at = ?, error = 'it was cut off; what it had not loaded is loaded by the next' WHERE finished_at IS NULL", (now(),))


def started(application):
    application.running = threading.Lock()
    for name in ("inbox", "working", "done"):
        (application.store.directory / name).mkdir(exist_ok=True)
    # What was being read when it was cut off.
    for path in (application.store.directory / "working").iterdir():
        os.replace(path, application.store.directory / "inbox" / path.name)
    application.clock = threading.Thread(target=clock, args=(application,), daemon=True)
    application.clock.start()


def stopping(application):
    application.clock.join(5)


def clock(application):
    """A run that was missed while nothing ran is made up for once."""
    while True:
        try:
            if due(application):
                run(application, "schedule")
        except Exception as error:  # Whatever a file has in it, the next run comes.
            print(json.dumps({"message": f"a run failed: {error}"}), flush=True)
        if application.stopping.wait(min(EVERY_S, 1)):
            return


def due(application):
    with application.store.reading() as connection:
        last = connection.execute("SELECT max(started_at) FROM _run WHERE why = 'schedule'").fetchone()[0]
    if last is None:
        return True
    passed = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(last.replace("Z", "+00:00"))
    return passed.total_seconds() >= EVERY_S


def run(application, why):
    """All that is in the inbox; the run as it ended."""
    with application.running:
        with application.store.transaction() as connection:
            number = connection.execute("INSERT INTO _run (why, started_at) VALUES (?, ?)", (why, now())).lastrowid
        error = None
        for path in sorted((application.store.directory / "inbox").iterdir()):
            if path.suffix == ".part" or not path.is_file():
                continue
            # What is read is out of everybody's way: another file of its name may come meanwhile.
            working = application.store.directory / "working" / path.name
            try:
                os.replace(path, working)
                load(application, number, working)
            except FileNotFoundError:
                continue  # Another process has it.
            except Exception as problem:
                error = f"{path.name}: {problem}"
                if working.exists() and not path.exists():
                    os.replace(working, path)
        with application.store.transaction() as connection:
            connection.execute("UPDATE _run SET finished_at = ?, error = ? WHERE id = ?", (now(), error, number))
        return found(application, number)


def load(application, number, path):
    data = path.read_bytes()
    resource = of_file(path.name)
    # The same bytes may be another kind's too.
    digest = hashlib.sha256(resource.path.encode() + b"\0" + data).hexdigest()
    with application.store.transaction() as connection:
        known = connection.execute("SELECT 1 FROM _loaded WHERE sha256 = ?", (digest,)).fetchone()
        counts = {"files": 1, "loaded": 0, "rejected": 0, "skipped": int(known is not None)}
        if not known:
            for line, row, reason in extract(path.name, data):
                if reason is None:
                    reason = put(application.store, connection, resource, row)
                counts["loaded" if reason is None else "rejected"] += 1
                if reason is not None:
                    connection.execute("INSERT INTO _reject (run, file, line, row, reason) VALUES (?, ?, ?, ?, ?)", (number, path.name, line, json.dumps(row)[:10_000], reason[:1_000].encode("utf-8", "replace").decode()))
            # What was wrong altogether may be right for a later version.
            if counts["loaded"]:
                connection.execute("INSERT INTO _loaded VALUES (?, ?, ?, ?)", (digest, path.name, number, now()))
        add = "UPDATE _run SET files = files + ?, loaded = loaded + ?, rejected = rejected + ?, skipped = skipped + ? WHERE id = ?"
        connection.execute(add, (*counts.values(), number))
    # After the commit: should it not come to this, the next run knows the file.
    os.replace(path, application.store.directory / "done" / f"{digest[:12]}-{path.name}")


def of_file(name):
    """By the name of the file, where there are several kinds of thing."""
    stem = name.lower().replace("_", "-").replace(" ", "-")
    return max((resource for resource in RESOURCES if stem.startswith(resource.path)), key=lambda resource: len(resource.path), default=RESOURCES[0])


def extract(name, data):
    """(line, row, what is wrong with it) of each row."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield 1, {}, f"the file is not UTF-8: {error.reason}"
        return
    kind = name.rpartition(".")[2].lower()
    if kind not in ("csv", "json", "jsonl") or ("csv" if kind == "csv" else "json") not in FORMATS:
        yield 1, {}, "the file is not " + " or ".join(FORMATS)
    elif kind == "csv":
        yield from rows_of_csv(text)
    else:
        yield from rows_of_json(text)


def rows_of_csv(text):
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    heads = None
    try:
        for cells in reader:
            if not cells or not any(cell.strip() for cell in cells):
                continue
            if heads is None:
                heads = [re.sub(r"[^a-z0-9]+", "_", cell.strip().lower()).strip("_") for cell in cells]
                if len(set(heads)) < len(heads):
                    yield reader.line_num, {}, "a column is there twice"
                    return
                continue
            wrong = None if len(cells) == len(heads) else f"it has {len(cells)} cells, and the first line {len(heads)}"
            yield reader.line_num, dict(zip(heads, cells)), wrong
    except csv.Error as error:
        yield reader.line_num, {}, f"the file is not CSV: {error}"


def rows_of_json(text):
    """One list of objects, or an object a line."""
    try:
        whole = json.loads(text)
        rows = enumerate(whole if isinstance(whole, list) else [whole], 1)
    except (ValueError, RecursionError):
        rows = lines(text)
    for line, row in rows:
        yield (line, row, None) if isinstance(row, dict) else (line, {"row": row}, "it is not a JSON object")


def lines(text):
    for line, part in enumerate(text.splitlines(), 1):
        if part.strip():
            try:
                yield line, json.loads(part)
            except (ValueError, RecursionError):
                yield line, part[:1_000]


def put(store, connection, resource, row):
    """What is wrong with the row; none: it is loaded."""
    given = {}
    for name, value in row.items():
        field = resource.field(name)
        given[name] = from_text(field, value) if field and isinstance(value, str) else value
    try:
        values = check(given, resource.fields)
        same = next((number for field in resource.fields if field.unique and (number := with_value(connection, resource, field, values[field.name]))), None)
        if same is None:
            store.create(resource, None, values)
        else:
            store.update(resource, None, same, values)
        return None
    except (Invalid, Taken) as error:
        return str(error)


def with_value(connection, resource, field, value):
    row = connection.execute(f"SELECT id FROM {quoted(resource.table)} WHERE {quoted(field.name)} = ?", (value,)).fetchone()
    return row and row["id"]


def found(application, number):
    with application.store.reading() as connection:
        row = connection.execute("SELECT * FROM _run WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise Missing("run")
    return dict(row)


def admit(application, request):
    """Where a token is set, who gives files, runs it or reads what was wrong with them has it."""
    token = os.environ.get("PIPELINE_TOKEN", "")
    kept = request.method not in ("GET", "HEAD") or request.path == "/rejects"
    kind, _, given = (request.headers.get("Authorization") or "").partition(" ")
    if token and kept and not (kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())):
        raise HttpError(401, "unauthenticated", "this needs the token of PIPELINE_TOKEN", headers={"WWW-Authenticate": "Bearer"})


def routes(application):
    def upload(request, match):
        name = urllib.parse.unquote(match[1])
        if not NAME.fullmatch(name) or name.endswith(".part"):
            raise HttpError(422, "invalid", "a file's name is letters, digits, dots, dashes and blanks", {"name": "is not a name"})
        data = request.body(FILE_MOST)
        # Under a name of its own: two of one name are two.
        stem, dot, kind = name.rpartition(".")
        kept = f"{stem or kind}.{os.urandom(4).hex()}{dot}{kind if stem else ''}"
        path = application.store.directory / "inbox" / kept
        part = path.with_name(f"{kept}.part")
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
        return Answer(202, {"name": name, "size": len(data)})

    def listed(table, request):
        limit, after = whole(request.query, "limit", 50, 1, LIMIT_MOST), whole(request.query, "after", INTEGER_MOST, 0, INTEGER_MOST)
        with application.store.reading() as connection:
            rows = connection.execute(f"SELECT * FROM {quoted(table)} WHERE id < ? ORDER BY id DESC LIMIT ?", (after, limit + 1)).fetchall()
        items = [dict(row) for row in rows[:limit]]
        return Answer(200, {"items": items, "next": items[-1]["id"] if len(rows) > limit else None})

    return [
        ("PUT", "/inbox/([A-Za-z0-9%._ -]{1,300})", upload),
        ("POST", "/runs", lambda request, match: Answer(201, run(application, "request"))),
        ("GET", "/runs", lambda request, match: listed("_run", request)),
        ("GET", "/runs/([0-9]{1,15})", lambda request, match: Answer(200, found(application, int(match[1])))),
        ("GET", "/rejects", lambda request, match: listed("_reject", request)),
    ]


def describe(document):
    schemas = document["components"]["schemas"]
    whole_numbers = {name: {"type": "integer"} for name in ("id", "files", "loaded", "rejected", "skipped")}
    texts = {name: {"type": ["string", "null"]} for name in ("why", "started_at", "finished_at", "error")}
    schemas["Run"] = {"type": "object", "properties": {**whole_numbers, **texts}, "required": [*whole_numbers, *texts]}
    reject = {**{name: {"type": "integer"} for name in ("id", "run", "line")}, **{name: {"type": "string"} for name in ("file", "row", "reason")}}
    schemas["Reject"] = {"type": "object", "properties": reject, "required": [*reject]}
    for name in ("Run", "Reject"):
        page = {"items": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}, "next": {"type": ["integer", "null"]}}
        schemas[f"{name}s"] = {"type": "object", "properties": page, "required": ["items", "next"]}
    pages = [query("limit", 1, LIMIT_MOST, 50), query("after", 0, INTEGER_MOST)]
    put = operation("Give a file", {"411": "Error", "413": "Error", "422": "Error"})
    put["responses"]["202"] = {"description": "The next run loads it"}
    put["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_ -]{0,90}\\.(csv|json|jsonl)$"}}
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": 10**14}}
    document["paths"]["/inbox/{name}"] = {"parameters": [name], "put": put}
    document["paths"]["/runs"] = {"get": operation("List runs", {"200": "Runs", "400": "Error"}, parameters=pages), "post": operation("Run now", {"201": "Run"})}
    document["paths"]["/runs/{id}"] = {"parameters": [number], "get": operation("Read a run", {"200": "Run", "404": "Error"})}
    document["paths"]["/rejects"] = {"get": operation("List what was wrong", {"200": "Rejects", "400": "Error"}, parameters=pages)}
