"""The web application of the stage timings: routes for data, static pages, headers for both."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from airflow_provider_aiopt.plugins.routes import router

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGES = Path(__file__).parent / "static"
"""The pages, scripts and styles that the distribution carries."""

_HEADERS = {
    # Everything comes from this server. A chart places its labels by style attributes; there are no style
    # elements and no scripts but in files. Only Airflow's own pages may frame these.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "style-src-attr 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # What a user may read today may be gone, or forbidden, tomorrow.
    "Cache-Control": "no-store",
}


def create_app(pages: Path = PAGES) -> FastAPI:
    """Make the application that Airflow mounts under ``/aiopt``.

    :param pages: folder of the static pages
    """
    # Without a description of itself: that would be open to callers who have not logged in.
    app = FastAPI(title="Stage timings", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(router)
    app.mount("/static", _Pages(directory=pages, check_dir=False), name="static")
    app.add_middleware(_Headers)
    app.add_exception_handler(RequestValidationError, _unprocessable)
    return app


async def _unprocessable(_: Request, error: Exception) -> JSONResponse:
    """Answer with a text, as the other errors have it, instead of FastAPI's list."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    shown = "; ".join(f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in problems)
    return JSONResponse({"detail": shown}, status_code=422)


class _Pages(StaticFiles):
    """Files that a browser keeps and asks for again each time; unchanged ones are not sent again."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        # Their names are the same in every version of the package.
        response.headers["Cache-Control"] = "no-cache"
        return response


class _Headers:
    """Adds :data:`_HEADERS` to every answer that has not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
