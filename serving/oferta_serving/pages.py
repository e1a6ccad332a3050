"""The API's documentation as a page that needs no network: its scripts come with a package."""

from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}


def add_pages(app: FastAPI) -> None:
    """Add `/docs` and the files it is made of."""

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        del request
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="oferta",
            swagger_js_url="/docs/swagger-ui-bundle.js",
            swagger_css_url="/docs/swagger-ui.css",
            swagger_favicon_url="/docs/favicon.png",
        )

    for name, media_type in _ASSETS.items():
        _add_asset(app, name, media_type)


def _add_asset(app: FastAPI, name: str, media_type: str) -> None:
    content = (files("fastapi_offline") / "static" / name).read_bytes()

    @app.get(f"/docs/{name}", include_in_schema=False)
    async def asset(request: Request) -> Response:
        del request
        return Response(
            content, media_type=media_type, headers={"cache-control": "public, max-age=86400"}
        )
