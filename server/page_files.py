"""The files of the studio, as a browser should keep them."""

from os import PathLike, stat_result

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_ASSETS = "assets/"
_FOR_GOOD = "public, max-age=31536000, immutable"
_ASK_EACH_TIME = "no-cache"


class PageFiles(StaticFiles):
    """What is in `assets/` has its content's hash in its name; all else may be another one after an upgrade."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        is_asset = self.get_path(scope).startswith(_ASSETS)
        response.headers["Cache-Control"] = _FOR_GOOD if is_asset else _ASK_EACH_TIME
        return response
