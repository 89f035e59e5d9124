"""Recipes by likeness, as uvicorn serves them: `uvicorn main:app`."""

from __future__ import annotations

from morizo.api import create_app
from morizo.settings import read_settings

app = create_app(read_settings())
