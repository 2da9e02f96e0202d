"""People sign up and sign in; everybody sees only what is theirs. Passwords are kept as scrypt hashes, tokens as SHA-256."""
import datetime
import hashlib
import hmac
import os
import secrets
import threading
import time

from app.errors import HttpError, Invalid
from app.messages import Answer
from app.migrations import quoted
from app.operations import operation
from app.schema import RESOURCES
from app.times import now
from app.validation import TYPES

PASSWORD_LEAST, PASSWORD_MOST = 8, 200
SESSION_S = 30 * 86_400
# Wrong passwords of one account in a minute.
WRONG_MOST = 10
# What everybody may call. Pages send who is not signed in to the form.
OPEN = {("GET", "/"), ("GET", "/health"), ("GET", "/metrics"), ("GET", "/openapi.json"), ("POST", "/users"), ("POST", "/sessions")}
COOKIE = "session"


class Wrong:
    """Counts wrong passwords, so that nobody tries them all."""

    def __init__(self):
        self.lock, self.times = threading.Lock(), {}

    def begin(self, email):
        """Counts it as wrong until it is known to be right, so that many at once get no further than one after the other."""
        with self.lock:
            least = time.monotonic() - 60
            self.times = {of: recent for of, times in self.times.items() if (recent := [at for at in times if at > least])}
            if len(self.times.get(email, ())) >= WRONG_MOST:
                raise HttpError(429, "too_many", "too many wrong passwords; try again in a minute", headers={"Retry-After": "60"})
            self.times.setdefault(email, []).append(time.monotonic())

    def right(self, email):
        with self.lock:
            self.times.pop(email, None)


WRONG = Wrong()


def tables(connection):
    connection.execute("CREATE TABLE IF NOT EXISTS _user (id INTEGER PRIMARY KEY AUTOINCREMENT, email TEXT NOT NULL UNIQUE, password BLOB NOT NULL, created_at TEXT NOT NULL)")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS _session (token BLOB PRIMARY KEY, user INTEGER NOT NULL REFERENCES _user(id), expires_at TEXT NOT NULL, created_at TEXT NOT NULL)"
    )


def hashed(password, salt):
    return salt + hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1, maxmem=64 << 20)


def digest(token):
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def credentials(body):
    """The e-mail address and the password of a JSON object."""
    if not isinstance(body, dict):
        raise Invalid({"body": "must be a JSON object"})
    problems = {name: "is not a field" for name in body if name not in ("email", "password")}
    email, password = body.get("email"), body.get("password")
    try:
        email = TYPES["email"](email).lower()
    except ValueError as error:
        problems["email"] = str(error)
    if not isinstance(password, str) or not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        problems["password"] = f"must be {PASSWORD_LEAST} to {PASSWORD_MOST} characters"
    elif any("\ud800" <= c <= "\udfff" for c in password):
        problems["password"] = "must be valid Unicode"
    if problems:
        raise Invalid(problems)
    return email, password


def sign_up(application, email, password):
    kept = hashed(password, os.urandom(16))
    with application.store.transaction() as connection:
        if connection.execute("SELECT 1 FROM _user WHERE email = ?", (email,)).fetchone():
            raise HttpError(409, "taken", "this e-mail address has an account", {"email": "is taken"})
        cursor = connection.execute("INSERT INTO _user (email, password, created_at) VALUES (?, ?, ?)", (email, kept, now()))
        return {"id": cursor.lastrowid, "email": email}


def sign_in(application, email, password):
    """A new session; the token is shown this once."""
    WRONG.begin(email)
    with application.store.reading() as connection:
        user = connection.execute("SELECT id, password FROM _user WHERE email = ?", (email,)).fetchone()
    # As long for somebody who is not there.
    kept = user["password"] if user else b"\0" * 80
    if not hmac.compare_digest(hashed(password, kept[:16]), kept) or not user:
        raise HttpError(401, "unauthenticated", "the e-mail address or the password is wrong")
    WRONG.right(email)
    token = secrets.token_urlsafe(32)
    expires = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=SESSION_S)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    with application.store.transaction() as connection:
        connection.execute("DELETE FROM _session WHERE expires_at < ?", (now(),))
        connection.execute("INSERT INTO _session VALUES (?, ?, ?, ?)", (digest(token), user["id"], expires, now()))
    return {"token": token, "expires_at": expires}


def user(application, owner):
    with application.store.reading() as connection:
        return dict(connection.execute("SELECT id, email, created_at FROM _user WHERE id = ?", (owner,)).fetchone())


def change_password(application, owner, session, body):
    """Whoever knows the old one; other sessions end."""
    email = user(application, owner)["email"]
    given = body if isinstance(body, dict) else {}
    problems = {name: "is not a field" for name in given if name not in ("password", "new_password")}
    try:
        credentials({"email": email, "password": given.get("new_password")})
    except Invalid as error:
        problems["new_password"] = error.fields["password"]
    old = given.get("password")
    if not isinstance(old, str) or len(old) > PASSWORD_MOST or any("\ud800" <= c <= "\udfff" for c in old):
        problems["password"] = "must be the password"
    if problems:
        raise Invalid(problems)
    WRONG.begin(email)
    with application.store.reading() as connection:
        kept = connection.execute("SELECT password FROM _user WHERE id = ?", (owner,)).fetchone()["password"]
    old, new = hashed(given["password"], kept[:16]), hashed(given["new_password"], os.urandom(16))
    if not hmac.compare_digest(old, kept):
        raise Invalid({"password": "is wrong"})
    WRONG.right(email)
    with application.store.transaction() as connection:
        connection.execute("UPDATE _user SET password = ? WHERE id = ?", (new, owner))
        ended = connection.execute("SELECT token FROM _session WHERE user = ? AND token IS NOT ?", (owner, session)).fetchall()
    for row in ended:
        sign_out(application, row["token"])


def claim(application, owner, body):
    """What was there before there was login goes to who knows the code in CLAIM_CODE; how many."""
    code, given = os.environ.get("CLAIM_CODE", ""), body.get("code") if isinstance(body, dict) else None
    if not isinstance(given, str):
        raise Invalid({"code": "must be a text"})
    WRONG.begin("CLAIM_CODE")
    if not code or not hmac.compare_digest(digest(given), digest(code)):
        raise HttpError(403, "forbidden", "the code is not what the app's variable CLAIM_CODE says")
    WRONG.right("CLAIM_CODE")
    with application.store.transaction() as connection:
        # What the owner has already, and may have only once, stays where it is.
        claims = [f"UPDATE OR IGNORE {quoted(resource.table)} SET owner = ? WHERE owner IS NULL" for resource in RESOURCES]
        return {"claimed": sum(connection.execute(statement, (owner,)).rowcount for statement in claims)}


def sign_out(application, session):
    from app.blocks import hooks

    with application.store.transaction() as connection:
        connection.execute("DELETE FROM _session WHERE token = ?", (session,))
    for signed_out in hooks("signed_out"):
        signed_out(application, session)


def cookie(request, name=COOKIE):
    for part in (request.headers.get("Cookie") or "").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return None


def admit(application, request):
    kind, _, token = (request.headers.get("Authorization") or "").partition(" ")
    token = token.strip() if kind.lower() == "bearer" else cookie(request)
    if token:
        with application.store.reading() as connection:
            session = connection.execute("SELECT user FROM _session WHERE token = ? AND expires_at > ?", (digest(token), now())).fetchone()
        if session:
            request.owner, request.session = session["user"], digest(token)
            # A page's form says by a field of its own that it is from here; so a request by cookie alone changes nothing else.
            request.by_cookie = kind.lower() != "bearer"
    if request.owner is None and not is_open(request):
        raise HttpError(401, "unauthenticated", "sign in first: POST /sessions", headers={"WWW-Authenticate": "Bearer"})
    if getattr(request, "by_cookie", False) and request.method not in ("GET", "HEAD") and not is_open(request):
        raise HttpError(401, "unauthenticated", "the API takes a token, not a cookie", headers={"WWW-Authenticate": "Bearer"})


def is_open(request):
    """Needs no login; blocks know what else of theirs does not. Pages look after themselves."""
    from app.blocks import hooks

    method = "GET" if request.method == "HEAD" else request.method
    return (method, request.path) in OPEN or any(of_block(request) for of_block in hooks("is_open") if of_block is not is_open)


def routes(application):
    def leave(request, match):
        sign_out(application, request.session)
        return Answer(204)

    def change(request, match):
        change_password(application, request.owner, request.session, request.json())
        return Answer(204)

    return [
        ("POST", "/users", lambda request, match: Answer(201, sign_up(application, *credentials(request.json())))),
        ("GET", "/users/me", lambda request, match: Answer(200, user(application, request.owner))),
        ("PUT", "/users/me/password", change),
        ("POST", "/users/me/claims", lambda request, match: Answer(200, claim(application, request.owner, request.json()))),
        ("POST", "/sessions", lambda request, match: Answer(201, sign_in(application, *credentials(request.json())))),
        ("DELETE", "/sessions/current", leave),
    ]


def describe(document):
    schemas, bad = document["components"]["schemas"], {status: "Error" for status in ("400", "401", "411", "413", "422")}
    schemas["Credentials"] = {
        "type": "object",
        "properties": {"email": {"type": "string", "format": "email"}, "password": {"type": "string", "minLength": PASSWORD_LEAST, "maxLength": PASSWORD_MOST}},
        "required": ["email", "password"],
        "additionalProperties": False,
    }
    schemas["User"] = {"type": "object", "properties": {"id": {"type": "integer"}, "email": {"type": "string"}}, "required": ["id", "email"]}
    schemas["Session"] = {"type": "object", "properties": {"token": {"type": "string"}, "expires_at": {"type": "string", "format": "date-time"}}, "required": ["token", "expires_at"]}
    document["paths"]["/users"] = {"post": {**operation("Sign up", {"201": "User", "409": "Error", **bad}, "Credentials"), "security": []}}
    document["paths"]["/users/me"] = {"get": operation("Who is signed in", {"200": "User", "401": "Error"})}
    secret = {"type": "string", "minLength": PASSWORD_LEAST, "maxLength": PASSWORD_MOST}
    schemas["NewPassword"] = {
        "type": "object",
        "properties": {"password": {"type": "string"}, "new_password": secret},
        "required": ["password", "new_password"],
        "additionalProperties": False,
    }
    document["paths"]["/users/me/password"] = {"put": operation("Change the password; other sessions end", {"204": None, "429": "Error", **bad}, "NewPassword")}
    schemas["Claim"] = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}
    schemas["Claimed"] = {"type": "object", "properties": {"claimed": {"type": "integer"}}, "required": ["claimed"]}
    told = {"200": "Claimed", "403": "Error", "429": "Error", **bad}
    document["paths"]["/users/me/claims"] = {"post": operation("Own what was there before there was login", told, "Claim")}
    document["paths"]["/sessions"] = {"post": {**operation("Sign in", {"201": "Session", "429": "Error", **bad}, "Credentials"), "security": []}}
    document["paths"]["/sessions/current"] = {"delete": operation("Sign out", {"204": None, "401": "Error"})}


def secure(document):
    """Said of everything, when everything is described."""
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for path in document["paths"].values():
        for of, method in path.items():
            if of != "parameters":
                method["responses"].setdefault("401", operation("", {"401": "Error"})["responses"]["401"])
