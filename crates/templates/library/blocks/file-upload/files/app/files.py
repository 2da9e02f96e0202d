"""Files that are kept with an item: `PUT /<resource>/<id>/files/<name>`, by the SHA-256 of what is in them."""
import hashlib
import os
import re
import urllib.parse

from app.errors import HttpError, Missing
from app.messages import Answer
from app.operations import operation
from app.schema import PREFIX, RESOURCES
from app.times import now
from app.validation import INTEGER_MOST

FILE_MOST = 10 << 20
NAME = r"([A-Za-z0-9%._~ -]{1,1200})"
TYPE = re.compile(r"[a-z0-9.+-]{1,50}/[a-z0-9.+-]{1,100}")


def tables(connection):
    connection.execute(
        "CREATE TABLE IF NOT EXISTS _file (resource TEXT NOT NULL, item INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL, size INTEGER NOT NULL, "
        "sha256 TEXT NOT NULL, created_at TEXT NOT NULL, PRIMARY KEY (resource, item, name))"
    )


def changing(connection, what, resource, item):
    """A file goes with its item; what is in it may be another one's too, and stays."""
    if what == "deleted":
        connection.execute("DELETE FROM _file WHERE resource = ? AND item = ?", (resource.table, item["id"]))


def routes(application):
    return [route for resource in RESOURCES for route in of(application, resource)]


def name_of(text):
    name = text.strip()
    if not name or name in (".", "..") or len(name) > 100 or any(c in '/\\"' or not c.isprintable() for c in name):
        raise HttpError(422, "invalid", "a file's name is 1 to 100 characters, without slashes and quotes", {"name": "is not a name"})
    return name


def listed(application, resource, number):
    with application.store.reading() as connection:
        rows = connection.execute("SELECT name, type, size, sha256, created_at FROM _file WHERE resource = ? AND item = ? ORDER BY name", (resource.table, number))
        return [dict(row) for row in rows.fetchall()]


def put(application, resource, owner, number, name, kind, data):
    """(what is kept, whether the name is new)"""
    directory, digest = application.store.directory / "files", hashlib.sha256(data).hexdigest()
    keep(directory, digest, data)
    row = {"name": name, "type": kind, "size": len(data), "sha256": digest, "created_at": now()}
    with application.store.transaction() as connection:
        application.store.get(resource, owner, number)
        known = connection.execute("SELECT 1 FROM _file WHERE resource = ? AND item = ? AND name = ?", (resource.table, number, name)).fetchone()
        connection.execute("INSERT OR REPLACE INTO _file VALUES (?, ?, ?, ?, ?, ?, ?)", (resource.table, number, *row.values()))
    return row, not known


def find(application, resource, number, name):
    with application.store.reading() as connection:
        row = connection.execute("SELECT * FROM _file WHERE resource = ? AND item = ? AND name = ?", (resource.table, number, name)).fetchone()
    if row is None:
        raise Missing("file")
    return row


def drop(application, resource, number, name):
    row = find(application, resource, number, name)
    with application.store.transaction() as connection:
        connection.execute("DELETE FROM _file WHERE resource = ? AND item = ? AND name = ?", (row["resource"], row["item"], row["name"]))


def of(application, resource):
    base = re.escape(f"{PREFIX}/{resource.path}") + "/([0-9]{1,16})/files"

    def place(request, match):
        return application, resource, application.store.number(resource, request.owner, match[1])

    def named(match):
        return name_of(urllib.parse.unquote(match[2], errors="replace"))

    def kept(request, match):
        (_, _, number), name = place(request, match), named(match)
        kind = (request.headers.get("Content-Type") or "application/octet-stream").split(";")[0].strip().lower()
        if not TYPE.fullmatch(kind):
            raise HttpError(422, "invalid", "Content-Type is not a media type", {"Content-Type": "is not a media type"})
        row, new = put(application, resource, request.owner, number, name, kind, request.body(FILE_MOST))
        return Answer(201 if new else 200, row)

    def get(request, match):
        row = find(*place(request, match), named(match))
        # As a download: what somebody uploaded is not run in a page of ours.
        disposition = "attachment; filename*=UTF-8''" + urllib.parse.quote(row["name"])
        data = (application.store.directory / "files" / row["sha256"]).read_bytes()
        return Answer(200, data, {"Content-Disposition": disposition, "ETag": f'"{row["sha256"]}"'}, row["type"])

    def delete(request, match):
        drop(*place(request, match), named(match))
        return Answer(204)

    def shown(request, match):
        return Answer(200, {"items": listed(*place(request, match))})

    return [("GET", base, shown), ("PUT", f"{base}/{NAME}", kept), ("GET", f"{base}/{NAME}", get), ("DELETE", f"{base}/{NAME}", delete)]


def keep(directory, digest, data):
    """Whole or not at all."""
    directory.mkdir(exist_ok=True)
    temporary = directory / f"{digest}.{os.urandom(4).hex()}.part"
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, directory / digest)


def describe(document):
    schemas = document["components"]["schemas"]
    texts = {name: {"type": "string"} for name in ("name", "type", "sha256", "created_at")}
    schemas["File"] = {"type": "object", "properties": {**texts, "size": {"type": "integer"}}, "required": [*texts, "size"]}
    schemas["Files"] = {"type": "object", "properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/File"}}}, "required": ["items"]}
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1, "maximum": INTEGER_MOST}}
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 100}}
    for resource in RESOURCES:
        base = f"{PREFIX}/{resource.path}/{{id}}/files"
        put = operation("Keep a file", {status: "File" for status in ("200", "201")} | {status: "Error" for status in ("400", "404", "411", "413", "422")})
        put["requestBody"] = {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
        get = operation("Read a file", {"404": "Error", "422": "Error"})
        get["responses"]["200"] = {"description": "The file", "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
        document["paths"][base] = {"parameters": [number], "get": operation("List files", {"200": "Files", "404": "Error"})}
        document["paths"][f"{base}/{{name}}"] = {"parameters": [number, name], "put": put, "get": get, "delete": operation("Delete a file", {"204": None, "404": "Error", "422": "Error"})}
