"""The page's routes: views come as JSON, pictures and files go out."""

import contextlib
import functools
import re
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from stylegan_tf.config.errors import UserError
from stylegan_tf.explorer.jobs import MAX_KEYS, Job, Jobs, Video
from stylegan_tf.explorer.network_choices import EXAMPLES, Choice, NetworkChoices
from stylegan_tf.explorer.projections import MAX_BYTES, MAX_STEPS, FoundPictures, Projections
from stylegan_tf.explorer.renderer import as_png
from stylegan_tf.explorer.security import UPLOADS
from stylegan_tf.explorer.view import View
from stylegan_tf.files.dlatents import save_dlatents
from stylegan_tf.files.file_errors import os_error_line, parse_json, short
from stylegan_tf.visualize.picture_files import resized

STATIC = Path(__file__).with_name("static")
_THUMBNAIL = 128  # Pixels at most.
_AT_ONCE = 2  # Pictures that are computed at the same time.
_ANIMATIONS = {"webp": "image/webp", "mp4": "video/mp4"}


class Application:
    """What the routes share. Nothing of it belongs to a window but jobs and found pictures, by unguessable names."""

    def __init__(self, choices: NetworkChoices, found: FoundPictures, distance):
        self._choices, self._found = choices, found
        self._projections, self._jobs = Projections(distance), Jobs()
        self._slots = None  # Made where the event loop runs.

    def asgi(self) -> Starlette:
        post = functools.partial(Route, methods=["POST"])
        routes = [
            Route("/", lambda _: FileResponse(STATIC / "index.html")),
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/api/network", self._network),
            Route("/api/network/blend", self._blend),
            Route("/api/examples/{index:int}.png", self._example),
            post("/api/picture.png", self._computing(self._picture)),
            post("/api/thumbnail.png", self._computing(self._thumbnail)),
            post("/api/dlatents.npz", self._computing(self._dlatents)),
            post("/api/command", self._computing(self._command)),
            post("/api/layers/{layer:int}/features.png", self._computing(self._features)),
            post("/api/layers/{layer:int}/noise.png", self._computing(self._noise)),
            post("/api/videos", self._computing(self._video)),
            post(UPLOADS, self._projection),
            Route("/api/found/{name}/target.png", self._target),
            Route("/api/jobs/{job}", self._job),
            Route("/api/jobs/{job}", self._stop_job, methods=["DELETE"]),
            Route("/api/jobs/{job}/file", self._job_file),
            Route("/api/jobs/{job}/{picture}.png", self._job_picture),
        ]
        handlers = {UserError: _user_error, OSError: _os_error, HTTPException: _http_error, ClientDisconnect: _gone}
        return Starlette(routes=routes, exception_handlers=handlers, lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app):
        self._slots = anyio.CapacityLimiter(_AT_ONCE)
        with tempfile.TemporaryDirectory(prefix="stylegan-explore-") as folder:
            self._folder = Path(folder)
            yield
            self._jobs.close()

    async def _in_thread(self, function, *arguments):
        return await anyio.to_thread.run_sync(functools.partial(function, *arguments), limiter=self._slots)

    def _computing(self, respond: Callable[..., Response]):
        """The endpoint of `respond(JSON of the body, the path's parameters)`, which runs in a thread."""

        async def endpoint(request: Request) -> Response:
            return await self._in_thread(respond, _json(await request.body()), *request.path_params.values())

        return endpoint

    def _view(self, data: Any) -> tuple[Choice, View]:
        choice = self._choices.get(_field(data, "network", str, ""))
        view = View.from_json({**data, "network": choice.name}, choice.renderer.info)
        return self._choices.get(choice.name, view.blend.network) if view.blend else choice, view

    # ---- A network

    async def _network(self, request):
        return await self._in_thread(self._described, request.query_params.get("name"))

    def _described(self, name):
        choice = self._choices.get(name)
        renderer = choice.renderer
        info, painter, directions = renderer.info, renderer.painter, renderer.directions
        strongest = sorted(zip(info.directions, directions.deviations if directions else ()), key=lambda one: -one[1])
        return JSONResponse(
            {
                "networks": self._choices.names,
                "network": choice.name,
                "first": View.first(choice.name, info).to_json(),
                "num_layers": info.num_layers,
                "has_styles": painter.config.use_styles,
                "groups": [
                    {"name": group.name, "layers": list(group.layers), "span": group.span} for group in renderer.groups
                ],
                "has_noise": info.num_noise_layers > 0,
                "labels": info.label_names,
                "directions": [name for name, _ in strongest],
                "resolutions": info.resolutions,
                "layers": renderer.layers(),
                "spaces": Projections.spaces(painter),
                "max_steps": MAX_STEPS,
                "max_keys": MAX_KEYS,
                "num_examples": EXAMPLES,
            }
        )

    async def _blend(self, request):
        """An error, if two networks cannot be blended."""
        query = request.query_params
        await self._in_thread(self._choices.get, query.get("name"), query.get("with", ""))
        return JSONResponse({})

    async def _example(self, request):
        index = request.path_params["index"]
        if index >= EXAMPLES:
            raise HTTPException(404, "There is no such example.")
        name = request.query_params.get("network") or self._choices.names[-1]
        return _png((await self._in_thread(self._choices.examples, name))[index])

    # ---- A view

    def _picture(self, data):
        choice, view = self._view(data)
        return _png(choice.renderer.render(view).picture)

    def _thumbnail(self, data):
        choice, view = self._view(data)
        picture = choice.renderer.render(view).picture
        return _png(resized(picture, min(Fraction(1), Fraction(_THUMBNAIL, max(picture.shape[:2])))))

    def _dlatents(self, data):
        choice, view = self._view(data)
        rendered = choice.renderer.render(view)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            path = Path(folder) / "dlatents.npz"
            ws = rendered.ws[None]
            save_dlatents(path, ws.shape, [ws], rendered.noise if view.has_own_noise else ())
            return Response(path.read_bytes(), media_type="application/octet-stream")

    def _command(self, data):
        choice, view = self._view(data)
        names = choice.label_names
        command = view.command(choice.path, choice.directions_file, names, self._choices.crop, choice.blended_with)
        return JSONResponse({"command": command, "needs_file": view.needs_file(names)})

    def _features(self, data, layer):
        choice, view = self._view(data)
        if layer >= len(choice.renderer.layers()):
            raise HTTPException(404, "There is no such layer.")
        return _png(choice.renderer.feature_maps(view, layer))

    def _noise(self, data, layer):
        choice, view = self._view(data)
        if layer >= choice.renderer.info.num_noise_layers:
            raise HTTPException(404, "There is no such layer.")
        return _png(choice.renderer.noise_picture(view, layer))

    # ---- Jobs

    def _video(self, data):
        keys, kind = _field(data, "keys", list), _field(data, "format", str, "webp")
        if kind not in _ANIMATIONS:
            raise UserError(f"format must be one of {', '.join(_ANIMATIONS)}, got {short(kind, 20)}.")
        seconds, loop = _field(data, "seconds", (int, float), 1.0), _field(data, "loop", bool, True)
        if not 0.1 <= seconds <= 10:
            raise UserError(f"seconds must be a number from 0.1 to 10, got {seconds}.")
        seen = [self._view(key) for key in keys]
        others = {view.blend.network for _, view in seen if view.blend}
        if len({choice.name for choice, _ in seen}) > 1 or len(others) > 1:
            raise UserError("the key frames are of several networks: a video is of one, or of blends of two.")
        if not 2 <= len(seen) <= MAX_KEYS:
            raise UserError(f"a video takes 2 to {MAX_KEYS} key frames, there are {len(seen)}.")

        def work(job: Job) -> Path:
            video = Video(
                self._choices.get(seen[0][0].name, *others).renderer, [view for _, view in seen], seconds, loop
            )
            path = self._folder / f"{job.id}.{kind}"
            video.write(path, job)
            return path

        return _started(self._jobs.start("a video", work))

    async def _projection(self, request):
        """The body is the picture's file."""
        query, upload = request.query_params, await request.body()
        data = _json(query.get("view", "{}").encode())
        choice, view = await self._in_thread(self._view, data)
        choice = self._choices.get(choice.name)  # A picture is searched in the first of two blended networks.
        painter, space, steps = choice.renderer.painter, query.get("space"), query.get("steps", "")
        spaces = Projections.spaces(painter)
        if space not in spaces:
            raise UserError(f"space must be one of {', '.join(spaces)}, got {short(space, 20)}.")
        if not re.fullmatch("[0-9]{1,9}", steps) or not 1 <= int(steps) <= MAX_STEPS:
            raise UserError(f"steps must be a whole number from 1 to {MAX_STEPS}, got {short(steps, 20)}.")
        if not upload:
            raise UserError("choose an image first.")
        if len(upload) > MAX_BYTES:
            raise UserError(f"the file has {len(upload):,} bytes; the limit is {MAX_BYTES:,}.")
        name = query.get("name") or "the image"
        label = tuple(view.classes.get(column, 0.0) for column in range(painter.config.label_size))

        def work(job: Job) -> str:
            found = self._projections.find(job, painter, upload, name, space, int(steps), label)
            return self._found.add(choice.name, *found)

        return _started(self._jobs.start("a search", work))

    async def _job(self, request):
        job = self._jobs.get(request.path_params["job"])
        text = self._jobs.waits_for(job) if job.state == "waiting" else job.text
        result = job.result if isinstance(job.result, str) else None
        progress = {"state": job.state, "text": text, "done": job.done, "total": job.total}
        return JSONResponse({**progress, "pictures": sorted(job.pictures), "result": result})

    async def _stop_job(self, request):
        self._jobs.get(request.path_params["job"]).stop()
        return JSONResponse({})

    async def _job_picture(self, request):
        pictures = self._jobs.get(request.path_params["job"]).pictures
        if request.path_params["picture"] not in pictures:
            raise HTTPException(404, "There is no such image yet.")
        return Response(pictures[request.path_params["picture"]], media_type="image/png")

    async def _job_file(self, request):
        path = self._jobs.get(request.path_params["job"]).result
        if not isinstance(path, Path):
            raise HTTPException(404, "There is no file.")
        return FileResponse(path, media_type=_ANIMATIONS[path.suffix[1:]], filename=f"video{path.suffix}")

    async def _target(self, request):
        return Response(self._found.target(request.path_params["name"]), media_type="image/png")


def _png(image) -> Response:
    return Response(as_png(image), media_type="image/png")


def _started(job: Job) -> Response:
    return JSONResponse({"job": job.id}, status_code=202)


def _json(body: bytes) -> Any:
    try:
        return parse_json(body.decode("utf-8"))
    except ValueError as error:
        raise UserError(f"the request is not JSON ({short(error, 100)}).") from None


_REQUIRED = object()


def _field(data: Any, name: str, kind, default: Any = _REQUIRED) -> Any:
    """An entry of a JSON object."""
    if not isinstance(data, Mapping):
        raise UserError(f"a JSON object is expected, got {short(repr(data), 60)}.")
    value = data.get(name, default)
    if value is _REQUIRED or not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{name} is missing, or {short(repr(value), 60)} is not valid.")
    return value


# ---- Errors, as {"error": one sentence}


def _error(text: str, status: int) -> Response:
    return JSONResponse({"error": text[:1].upper() + text[1:]}, status_code=status)


async def _user_error(_request, error):
    return _error(str(error), 422)


async def _os_error(_request, error):
    return _error(os_error_line(error), 500)


async def _http_error(_request, error):
    return _error(error.detail, error.status_code)


async def _gone(_request, _error):
    return Response(status_code=400)
