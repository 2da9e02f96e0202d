"""The resources over HTTP, as FastAPI's routes: list, make, read, replace, change, delete."""
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from app import messages
from app.errors import Missing
from app.listing import page, parameters
from app.messages import Answer
from app.models import Error, Models, given, values
from app.schema import PREFIX
from app.validation import INTEGER_MOST


def reply(answer):
    headers = answer.headers if answer.body is None else {"X-Content-Type-Options": "nosniff", **answer.headers}
    return Response(answer.data(), answer.status, headers, None if answer.body is None else answer.content_type)


class Json(Request):
    """Its body is read as the other templates read it: a field that is given twice is an error."""

    async def json(self):
        return messages.parsed(await self.body())


class Route(APIRoute):
    def get_route_handler(self):
        handle = super().get_route_handler()

        async def strict(request):
            request = Json(request.scope, request.receive)
            if self.body_field:
                request.state.asked.length()
                await request.json()
            return await handle(request)

        return strict


def asked(request: Request) -> messages.Request:
    """The request as the blocks know it: with whose it is."""
    return request.state.asked


Asked = Annotated[messages.Request, Depends(asked)]


def errors(*statuses):
    return {status: {"model": Error} for status in (400, 422, *statuses)}


def router(app, resource):
    """`app`: its store, and who is to hear of a change."""
    models = Models(resource)
    routes = APIRouter(prefix=f"{PREFIX}/{resource.path}", route_class=Route, tags=[resource.plural])
    bad = errors(409, 411, 413)

    def known(number):
        if number > INTEGER_MOST:
            raise Missing(resource.singular)
        return number

    def changed(number, asked, item):
        result = app.store.update(resource, asked.owner, known(number), item)
        app.changed("changed", resource, asked.owner, result)
        return reply(Answer(200, result))

    @routes.get("", summary=f"List {resource.plural}", response_model=models.page, responses=errors(), openapi_extra={"parameters": parameters(resource)})
    def listed(asked: Asked):
        return reply(page(app, resource, asked))

    @routes.post("", summary=f"Make a {resource.singular}", status_code=201, response_model=models.item, responses=bad)
    def create(item: models.input, asked: Asked):
        made = app.store.create(resource, asked.owner, values(item))
        app.changed("created", resource, asked.owner, made)
        # Relative, so that it holds behind a proxy that adds a prefix.
        return reply(Answer(201, made, {"Location": f"{resource.path}/{made['id']}"}))

    @routes.get("/{number:int}", summary=f"Read a {resource.singular}", response_model=models.item, responses=errors(404))
    def show(number: int, asked: Asked):
        return reply(Answer(200, app.store.get(resource, asked.owner, known(number))))

    @routes.put("/{number:int}", summary=f"Replace a {resource.singular}", response_model=models.item, responses={**bad, **errors(404)})
    def replace(number: int, item: models.input, asked: Asked):
        return changed(number, asked, values(item))

    @routes.patch("/{number:int}", summary=f"Change a {resource.singular}", response_model=models.item, responses={**bad, **errors(404)})
    def change(number: int, item: models.patch, asked: Asked):
        return changed(number, asked, given(item))

    @routes.delete("/{number:int}", summary=f"Delete a {resource.singular}", status_code=204, responses=errors(404, 409))
    def delete(number: int, asked: Asked):
        app.changed("deleted", resource, asked.owner, app.store.delete(resource, asked.owner, known(number)))
        return reply(Answer(204))

    return routes
