"""The HTTP interface."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from morizo.log import configure
from morizo.release import read_release
from morizo.settings import CATEGORIES, ROOT, Settings
from morizo.store import Store

Category = Literal["main", "sub", "soup"]


class Recipe(BaseModel):
    """A recipe as a client gives it."""

    category: Category
    title: Annotated[str, Field(min_length=1, max_length=200)]
    ingredients: Annotated[list[str], Field(max_length=100)] = []


def create_app(settings: Settings) -> FastAPI:
    """The app, with its stores open and its log set up."""
    log = configure(settings.log_level, settings.log_file)
    stores = {category: Store(settings.stores[category]) for category in CATEGORIES}
    release = read_release(ROOT)
    began = time.monotonic()
    eaten: list[bytearray] = []

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        log.info("listening, release %s", release["release"])
        yield
        log.info("stopped")

    app = FastAPI(title="morizo-ai", lifespan=lifespan)

    @app.middleware("http")
    async def log_request(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        start = time.perf_counter()
        response = await answer(request)
        # Neither query strings nor headers nor bodies.
        milliseconds = (time.perf_counter() - start) * 1000
        log.info("%s %s %d %.1f ms", request.method, request.url.path, response.status_code, milliseconds)
        return response

    # Not async: a store may wait for the disk.
    @app.get("/health")
    def health() -> JSONResponse:
        found: dict[str, Any] = {}
        for category, store in stores.items():
            try:
                found[category] = store.count()
            except sqlite3.Error as error:
                found[category] = str(error)
        healthy = all(isinstance(each, int) for each in found.values())
        content = {
            "status": "ok" if healthy else "unavailable",
            **release,
            "stores": found,
            "uptime_s": int(time.monotonic() - began),
        }
        return JSONResponse(content, 200 if healthy else 503, {"Cache-Control": "no-store"})

    @app.get("/version")
    def version() -> dict[str, Any]:
        return {
            **release,
            "environment": settings.environment,
            "pid": os.getpid(),
            "uid": os.getuid(),
            "cwd": os.getcwd(),
            "python": platform.python_version(),
        }

    @app.post("/recipes", status_code=201)
    def add(recipe: Recipe) -> dict[str, Any]:
        return {"id": stores[recipe.category].add(recipe.title, recipe.ingredients), "category": recipe.category}

    @app.get("/search")
    def search(
        q: Annotated[str, Query(min_length=1, max_length=200)],
        category: Category = "main",
        limit: Annotated[int, Query(ge=1, le=50)] = 5,
    ) -> list[dict[str, Any]]:
        return stores[category].search(q, limit)

    @app.get("/memory")
    def memory(mb: Annotated[int, Query(ge=1, le=4096)]) -> dict[str, int]:
        """Eat memory until the process ends, so that a test can watch a limit."""
        if not settings.test:
            raise HTTPException(404, "not found")
        eaten.append(bytearray(b"x" * (mb << 20)))
        return {"eaten_mb": sum(len(each) for each in eaten) >> 20}

    return app
