"""The pages that a browser gets: what a run exported to be looked at, or one to send an image from."""

from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, select_autoescape
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from spikewise.serving.models import Models
from spikewise.viz import theme_css

__all__ = ["Pages"]


class Pages:
    """`/` and `/upload`."""

    def __init__(self, models: Models) -> None:
        self.models = models
        source = files("spikewise.serving").joinpath("assets", "upload.html.j2").read_text(encoding="utf-8")
        self._upload = Environment(autoescape=select_autoescape(default=True)).from_string(source)

    async def first(self, request: Request) -> Response:
        """The page that was exported from the run of a model (`?model=`), or the one to upload to."""
        page = self.models.named(request.query_params.get("model")).page()
        return await self.upload(request) if page is None else FileResponse(Path(page), media_type="text/html")

    async def upload(self, request: Request) -> Response:
        """The page from which images are sent."""
        chosen = self.models.named(request.query_params.get("model"))
        theme = Markup(theme_css())  # our own
        return HTMLResponse(self._upload.render(theme=theme, models=self.models.loaded.values(), chosen=chosen.name))
