"""Devices fetch what changed since they last asked, and send what they did while they were offline. A change that is sent twice is made
once: by its key. Of two that changed the same item, the second is told what the first made of it."""
import json

from app.listing import whole
from app.errors import HttpError, Invalid, Missing
from app.messages import Answer
from app.migrations import quoted
from app.operations import operation, query
from app.schema import RESOURCES
from app.times import now
from app.validation import INTEGER_MOST, check

CHANGES_MOST = 100
LIMIT, LIMIT_MOST = 200, 1000
FIELDS = {"key", "resource", "op", "id", "item", "seen"}


def tables(connection):
    connection.execute(
        "CREATE TABLE IF NOT EXISTS _change (seq INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER, resource TEXT NOT NULL, item INTEGER NOT NULL, deleted INTEGER NOT NULL, "
        "UNIQUE (resource, item))"
    )
    connection.execute("CREATE INDEX IF NOT EXISTS _change_owner ON _change (owner, seq)")
    # What was there before devices were told of changes, and what went away while they were not.
    for resource in RESOURCES:
        there = "INSERT INTO _change (owner, resource, item, deleted) SELECT owner, ?, id, 0 FROM "
        there += quoted(resource.table) + " WHERE id NOT IN (SELECT item FROM _change WHERE resource = ?)"
        connection.execute(there, (resource.table, resource.table))
        gone = "INSERT OR REPLACE INTO _change (owner, resource, item, deleted) SELECT owner, resource, item, 1 FROM _change "
        gone += "WHERE resource = ? AND deleted = 0 AND item NOT IN (SELECT id FROM " + quoted(resource.table) + ")"
        connection.execute(gone, (resource.table,))
    connection.execute("CREATE TABLE IF NOT EXISTS _sent (owner INTEGER, key TEXT NOT NULL, result TEXT NOT NULL, created_at TEXT NOT NULL, UNIQUE (owner, key))")


def changing(connection, what, resource, item):
    """Of each item the last change, under a new number."""
    connection.execute("DELETE FROM _change WHERE resource = ? AND item = ?", (resource.table, item["id"]))
    connection.execute("INSERT INTO _change (owner, resource, item, deleted) VALUES (?, ?, ?, ?)", (item["owner"], resource.table, item["id"], what == "deleted"))


def routes(application):
    return [
        ("GET", "/sync", lambda request, match: fetch(application, request)),
        ("POST", "/sync", lambda request, match: send(application, request)),
    ]


def fetch(application, request):
    since, limit = whole(request.query, "since", 0, 0, INTEGER_MOST), whole(request.query, "limit", LIMIT, 1, LIMIT_MOST)
    with application.store.reading() as connection:
        rows = connection.execute(
            "SELECT seq, resource, item, deleted FROM _change WHERE owner IS ? AND seq > ? ORDER BY seq LIMIT ?", (request.owner, since, limit + 1)
        ).fetchall()
    changes = []
    for row in rows[:limit]:
        resource = next((resource for resource in RESOURCES if resource.table == row["resource"]), None)
        if resource:
            item = None if row["deleted"] else found(application.store, resource, request.owner, row["item"])
            changes.append({"resource": resource.path, "id": row["item"], "deleted": item is None, "item": item})
    following = rows[:limit][-1]["seq"] if rows else since
    return Answer(200, {"changes": changes, "next": following, "more": len(rows) > limit})


def found(store, resource, owner, number):
    try:
        return store.get(resource, owner, number)
    except Missing:
        return None  # It was deleted in this moment; that has a number of its own.


def send(application, request):
    body = request.json()
    changes = body.get("changes") if isinstance(body, dict) else None
    if not isinstance(changes, list) or not 1 <= len(changes) <= CHANGES_MOST or set(body) != {"changes"}:
        raise Invalid({"changes": f"must be a list of 1 to {CHANGES_MOST} changes"})
    for at, change in enumerate(changes):
        if not isinstance(change, dict) or not isinstance(change.get("key"), str) or not 1 <= len(change["key"]) <= 100 or any("\ud800" <= c <= "\udfff" for c in change["key"]):
            raise Invalid({f"changes[{at}].key": "must be a text of 1 to 100 characters, another one for each change"})
        if set(change) - FIELDS:
            raise Invalid({f"changes[{at}].{min(set(change) - FIELDS)}": "is not a field"})
        for name in ("resource", "op"):
            if not isinstance(change.get(name), str):
                raise Invalid({f"changes[{at}].{name}": "must be a text"})
    return Answer(200, {"results": [take(application, request, change) for change in changes]})


def take(application, request, change):
    """One change, once, in a transaction of its own."""
    store, told = application.store, None
    with store.transaction() as connection:
        known = connection.execute("SELECT result FROM _sent WHERE owner IS ? AND key = ?", (request.owner, change["key"])).fetchone()
        if known:
            return json.loads(known["result"])
        try:
            with store.transaction():
                what, resource, item = make(store, request, change)
            told = what, resource, item
            result = {"key": change["key"], "status": "done", "item": None if what == "deleted" else item, "error": None}
        except HttpError as error:
            status = "conflict" if error.code == "conflict" else "refused"
            result = {"key": change["key"], "status": status, "item": getattr(error, "item", None), "error": {"code": error.code, "message": str(error), "fields": error.fields}}
        connection.execute("INSERT INTO _sent VALUES (?, ?, ?, ?)", (request.owner, change["key"], json.dumps(result), now()))
    if told:
        application.changed(told[0], told[1], request.owner, told[2])
    return result


def make(store, request, change):
    resource = next((resource for resource in RESOURCES if resource.path == change.get("resource")), None)
    op, number = change.get("op"), change.get("id")
    if resource is None:
        raise Invalid({"resource": "must be one of " + ", ".join(resource.path for resource in RESOURCES)})
    if op == "create":
        return "created", resource, store.create(resource, request.owner, check(change.get("item"), resource.fields))
    if op not in ("update", "delete"):
        raise Invalid({"op": "must be create, update or delete"})
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= INTEGER_MOST:
        raise Invalid({"id": "must be an id"})
    current = store.get(resource, request.owner, number)
    if change.get("seen") is not None and change["seen"] != current["updated_at"]:
        conflict = HttpError(409, "conflict", "it was changed meanwhile; this is what it is now")
        conflict.item = current
        raise conflict
    if op == "delete":
        return "deleted", resource, store.delete(resource, request.owner, number)
    return "changed", resource, store.update(resource, request.owner, number, check(change.get("item"), resource.fields, partial=True))


def describe(document):
    schemas = document["components"]["schemas"]
    paths = {"type": "string", "enum": [resource.path for resource in RESOURCES]}
    entry = {"resource": paths, "id": {"type": "integer"}, "deleted": {"type": "boolean"}, "item": {"type": ["object", "null"]}}
    schemas["Changes"] = {
        "type": "object",
        "properties": {"changes": {"type": "array", "items": {"type": "object", "properties": entry}}, "next": {"type": "integer"}, "more": {"type": "boolean"}},
        "required": ["changes", "next", "more"],
    }
    change = {
        "key": {"type": "string", "minLength": 1, "maxLength": 100},
        "resource": paths,
        "op": {"type": "string", "enum": ["create", "update", "delete"]},
        "id": {"type": "integer", "minimum": 1, "maximum": INTEGER_MOST},
        "item": {"type": "object"},
        "seen": {"type": "string", "description": "`updated_at` of the item as the device has it"},
    }
    sent = {"type": "array", "minItems": 1, "maxItems": CHANGES_MOST, "items": {"type": "object", "properties": change, "required": ["key", "resource", "op"], "additionalProperties": False}}
    schemas["Sent"] = {"type": "object", "properties": {"changes": sent}, "required": ["changes"], "additionalProperties": False}
    schemas["Results"] = {"type": "object", "properties": {"results": {"type": "array", "items": {"type": "object"}}}, "required": ["results"]}
    document["paths"]["/sync"] = {
        "get": operation("What changed since", {"200": "Changes", "400": "Error"}, parameters=[query("since", 0, INTEGER_MOST, 0), query("limit", 1, LIMIT_MOST, LIMIT)]),
        "post": operation("What a device did while it was offline", {"200": "Results", **{status: "Error" for status in ("400", "411", "413", "422")}}, "Sent"),
    }
