"""Pages for people, rendered here. They need no script; links are relative, so that they hold behind a proxy that adds a prefix."""
import contextlib
import html
import re
import urllib.parse

from app.errors import HttpError, Missing
from app.messages import Answer
from app.panels import panels, places
from app.schema import PREFIX, RESOURCES, SEARCH, TITLE
from app.style import STYLE
from app.validation import INTEGER_MOST, check, from_text

try:
    from app import auth as AUTH
except ImportError:
    AUTH = None
try:
    from app.panels import LIVE
except ImportError:
    LIVE = None

LISTED = 25
# Of what can be referred to, so many are offered.
OFFERED = 200
FORM_MOST = 1 << 20
LONG = ("description", "body", "content", "comment", "note", "notes", "instructions", "message", "summary", "text")
PLACES = re.compile("/(style.css|live.js|account|sign-in|sign-up|sign-out|(" + "|".join(re.escape(resource.path) for resource in RESOURCES) + ")(/.*)?)?", re.ASCII)
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    + ("; script-src 'self'; connect-src 'self'" if LIVE else ""),
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_open(request):
    """Who is not signed in is sent to the form, not refused."""
    return not request.path.startswith(PREFIX + "/") and PLACES.fullmatch(request.path) is not None


def esc(value):
    return html.escape(str(value), quote=True)


class Page:
    """What one request's pages have in common."""

    def __init__(self, request):
        self.request, self.root = request, "../" * (request.path.count("/") - 1) or "./"

    def html(self, title, body, status=200, live=""):
        """`live`: attributes that say what the page is about, where it hears of changes."""
        links = "".join(f'<a href="{self.root}{esc(resource.path)}">{esc(resource.plural.capitalize())}</a>' for resource in RESOURCES)
        if AUTH and self.request.owner is not None:
            links += f'<a href="{self.root}account">Account</a><form method="post" action="{self.root}sign-out"><button class="link">Sign out</button></form>'
        script = f'<script defer src="{self.root}live.js" data-root="{self.root}"{live}></script>' if LIVE and live else ""
        text = (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<title>{esc(title)} – {esc(TITLE)}</title><link rel="stylesheet" href="{self.root}style.css">{script}</head>'
            f'<body><header><a class="home" href="{self.root}">{esc(TITLE)}</a><nav aria-label="Main">{links}</nav></header><main>{body}</main></body></html>'
        )
        return Answer(status, text, dict(SECURITY), "text/html; charset=utf-8")

    def go(self, path):
        return Answer(303, None, {"Location": self.root + path, **SECURITY})

    def from_here(self):
        from_here(self.request)

    def form(self):
        return form_of(self.request)


def from_here(request):
    """Other sites' forms are refused."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    hosts = (request.headers.get("Host"), request.headers.get("X-Forwarded-Host"))
    foreign = site not in ("same-origin", "none") if site else origin is not None and origin.partition("://")[2] not in hosts
    if foreign:
        raise HttpError(403, "forbidden", "this form is not from here")


def form_of(request):
    """What a form of ours sent."""
    from_here(request)
    try:
        text = request.body(FORM_MOST).decode("utf-8")
        return {name: values[-1] for name, values in urllib.parse.parse_qs(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=200).items()}
    except ValueError:
        raise HttpError(400, "not_a_form", "the body is not a form") from None


def shown(field, value):
    if value is None:
        return ""
    if field.type == "boolean":
        return "yes" if value else "no"
    return str(value).replace("T", " ").removesuffix("Z") if field.type == "datetime" else str(value)


def label(resource, item):
    """What people call it."""
    first = next((field for field in resource.fields if field.type == "text" and item.get(field.name)), None)
    return item[first.name] if first else f"{resource.singular} {item['id']}"


def words(field):
    return field.name.replace("_", " ").capitalize()


def control(application, request, field, value, problem):
    """A labelled control of a form."""
    name, text = esc(field.name), "" if value is None else str(value)
    attributes = f'id="{name}" name="{name}"' + (" required" if field.required and field.type != "boolean" else "")
    if problem:
        attributes += f' aria-invalid="true" aria-describedby="{name}-problem"'
    bounds = ("minlength", "maxlength") if field.type == "text" else ("min", "max")
    for attribute, bound in zip(bounds, (field.least, field.most)):
        attributes += "" if bound is None else f' {attribute}="{bound}"'
    if field.choices or field.references:
        options = [(choice, choice) for choice in field.choices]
        if field.references:
            target = next(resource for resource in RESOURCES if resource.path == field.references)
            options = [(item["id"], label(target, item)) for item in application.store.list(target, request.owner, OFFERED, 0)[0]]
            if isinstance(value, int) and 0 < value <= INTEGER_MOST and value not in [key for key, _ in options]:
                with contextlib.suppress(Missing):
                    options.append((value, label(target, application.store.get(target, request.owner, value))))
        chosen = "".join(f'<option value="{esc(key)}"{" selected" if str(key) == text else ""}>{esc(shown)}</option>' for key, shown in options)
        control = f'<select {attributes}><option value=""></option>{chosen}</select>'
    elif field.type == "boolean":
        control = f'<input type="checkbox" {attributes}{" checked" if value else ""}>'
    elif field.type == "text" and field.name.rpartition("_")[2] in LONG:
        control = f"<textarea {attributes} rows=\"4\">{esc(text)}</textarea>"
    else:
        kind = {"integer": "number", "number": "number", "datetime": "datetime-local"}.get(field.type, field.type)
        step = ' step="any"' if field.type == "number" else ' step="1"' if field.type in ("integer", "datetime") else ""
        control = f'<input type="{kind}" {attributes}{step} value="{esc(text.removesuffix("Z") if field.type == "datetime" else text)}">'
    said = f'<p class="problem" id="{name}-problem">{esc(words(field))} {esc(problem)}</p>' if problem else ""
    star = ' <span aria-hidden="true">*</span>' if field.required else ""
    return f'<div class="field"><label for="{name}">{esc(words(field))}{star}</label>{control}{said}</div>'


def form(application, request, resource, values, problems, action, button):
    controls = "".join(control(application, request, field, values.get(field.name), problems.get(field.name)) for field in resource.fields)
    said = '<p class="problem" role="alert">Please mend what is marked.</p>' if problems else ""
    return f'<form method="post" action="{esc(action)}">{said}{controls}<button>{esc(button)}</button></form>'


def routes(application):
    here = [
        ("GET", "/", lambda request, match: home(application, request)),
        ("GET", "/style.css", lambda request, match: Answer(200, STYLE, {"Cache-Control": "max-age=3600"}, "text/css; charset=utf-8")),
    ]
    if LIVE:
        here.append(("GET", "/live.js", lambda request, match: Answer(200, LIVE, {"Cache-Control": "max-age=3600"}, "text/javascript; charset=utf-8")))
    if AUTH:
        from app.doors import doors

        here += doors(application)
    return here + [route for resource in RESOURCES for route in of(application, resource)]


def home(application, request):
    page = Page(request)
    if AUTH and request.owner is None:
        return page.go("sign-in")
    if len(RESOURCES) == 1:
        return page.go(RESOURCES[0].path)
    cards = "".join(f'<li><a href="{esc(resource.path)}">{esc(resource.plural.capitalize())}</a></li>' for resource in RESOURCES)
    return page.html("Home", f"<h1>{esc(TITLE)}</h1><ul class=\"cards\">{cards}</ul>")


def of(application, resource):
    base = "/" + re.escape(resource.path)
    one = base + "/([0-9]{1,16})"

    def page_of(handler):
        """For who is signed in; errors are pages too."""

        def handled(request, match):
            page = Page(request)
            if AUTH and request.owner is None:
                return page.go("sign-in")
            try:
                return handler(request, match, page)
            except HttpError as error:
                return page.html("Not possible", f'<h1>Not possible</h1><p role="alert">{esc(str(error).capitalize())}.</p>', error.status)

        return handled

    def number(match):
        if int(match[1]) > INTEGER_MOST:
            raise Missing(resource.singular)
        return int(match[1])

    def listed(request, match, page):
        after = request.query.get("after", ["0"])[-1]
        after = int(after) if re.fullmatch(r"[0-9]{1,15}", after, re.ASCII) else 0
        query = request.query.get("q", [""])[-1].replace("\0", "")
        items, following = application.store.list(resource, request.owner, LISTED, after, [word[:200] for word in query.split()[:20]] if SEARCH else [])
        names = referred(application, request, resource, items)
        heads = "".join(f'<th scope="col">{esc(words(field))}</th>' for field in resource.fields)
        rows = ""
        for item in items:
            cells = [names.get((field.references, item[field.name])) or shown(field, item[field.name]) for field in resource.fields]
            first = f'<a href="{esc(resource.path)}/{item["id"]}">{esc(cells[0] or label(resource, item))}</a>'
            rows += f"<tr><td>{first}</td>" + "".join(f"<td>{esc(cell)}</td>" for cell in cells[1:]) + "</tr>"
        table = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>' if items else f"<p>There are no {esc(resource.plural)} yet.</p>"
        search = f'<form method="get" action="{esc(resource.path)}" role="search"><label for="q">Search</label><input type="search" id="q" name="q" value="{esc(query)}"><button>Search</button></form>' if SEARCH else ""
        more = f'<p><a href="{esc(resource.path)}?{esc(urllib.parse.urlencode({"after": following, "q": query}))}">More</a></p>' if following else ""
        title = resource.plural.capitalize()
        return page.html(title, f'<h1>{esc(title)}</h1><p><a class="button" href="{esc(resource.path)}/new">New {esc(resource.singular)}</a></p>{search}{table}{more}', live=f' data-resource="{esc(resource.path)}"')

    def blank(request, match, page, values=None, problems=None):
        title = f"New {resource.singular}"
        if values is None:
            # Whoever comes from what it belongs to has said so.
            given = {name: from_text(resource.field(name), texts[-1]) for name, texts in request.query.items() if resource.field(name) and resource.field(name).references}
            values = {field.name: given.get(field.name, field.initial) for field in resource.fields}
        return page.html(title, f"<h1>{esc(title)}</h1>" + form(application, request, resource, values, problems or {}, "new", "Save"), 422 if problems else 200)

    def create(request, match, page):
        values = typed(form_of(request))
        try:
            made = application.store.create(resource, request.owner, check(values, resource.fields))
        except HttpError as error:
            if not error.fields:
                raise
            return blank(request, match, page, values, error.fields)
        application.changed("created", resource, request.owner, made)
        return page.go(f"{resource.path}")

    def detail(request, match, page, values=None, problems=None):
        item = application.store.get(resource, request.owner, number(match))
        title = str(label(resource, item))
        body = form(application, request, resource, values or item, problems or {}, str(item["id"]), "Save")
        elsewhere = '<p role="status" id="changed" hidden>It was changed elsewhere meanwhile; load it again to see that.</p>' if LIVE else ""
        delete = f'<p><a class="danger" href="{item["id"]}/delete">Delete this {esc(resource.singular)}</a></p>'
        body = f'<h1>{esc(title)}</h1>{elsewhere}{body}{panels(application, request, resource, item, page, label)}{delete}<p><a href="{page.root}{esc(resource.path)}">All {esc(resource.plural)}</a></p>'
        return page.html(title, body, 422 if problems else 200, f' data-resource="{esc(resource.path)}" data-item="{item["id"]}"')

    def sure(request, match, page):
        item = application.store.get(resource, request.owner, number(match))
        title = f"Delete {label(resource, item)}?"
        body = f'<h1>{esc(title)}</h1><p>It cannot be brought back.</p><form method="post" action="delete"><button>Delete</button></form><p><a href="../{item["id"]}">Keep it</a></p>'
        return page.html(title, body)

    def update(request, match, page):
        values = typed(form_of(request))
        try:
            changed = application.store.update(resource, request.owner, number(match), check(values, resource.fields))
        except HttpError as error:
            if not error.fields:
                raise
            return detail(request, match, page, values, error.fields)
        application.changed("changed", resource, request.owner, changed)
        return page.go(resource.path)

    def delete(request, match, page):
        form_of(request)
        was = application.store.delete(resource, request.owner, number(match))
        application.changed("deleted", resource, request.owner, was)
        return page.go(resource.path)

    def typed(given):
        return {field.name: from_text(field, given.get(field.name, "")) for field in resource.fields}

    shown_places = [("GET", base, listed), ("GET", base + "/new", blank), ("POST", base + "/new", create), ("GET", one, detail), ("POST", one, update), ("GET", one + "/delete", sure), ("POST", one + "/delete", delete)]
    places_of_blocks = [(method, one + end, handler) for method, end, handler in places(application, resource)]
    return [(method, pattern, page_of(handler)) for method, pattern, handler in [*shown_places, *places_of_blocks]]


def referred(application, request, resource, items):
    """(path, id) → what people call it, of all that these items refer to."""
    names = {}
    for field in resource.fields:
        if field.references:
            target = next(other for other in RESOURCES if other.path == field.references)
            for one in {item[field.name] for item in items if item[field.name] is not None}:
                names[field.references, one] = label(target, application.store.get(target, request.owner, one))
    return names
