"""`irflops schema`: the JSON Schemas that ship in the package."""

from __future__ import annotations

import json
from importlib import resources

import click

from irflops.report.output import results_to

_FOLDER = resources.files("irflops.data") / "schemas"
_ENDING = ".schema.json"

SCHEMAS = tuple(sorted(file.name.removesuffix(_ENDING) for file in _FOLDER.iterdir() if file.name.endswith(_ENDING)))


@click.command()
@click.argument("name", required=False, type=click.Choice(SCHEMAS))
def schema(name: str | None) -> None:
    """Print the JSON Schema of a result."""
    with results_to(None) as stream:
        if name is None:
            stream.write("".join(f"{known}\n" for known in SCHEMAS))
            return
        content = (_FOLDER / f"{name}{_ENDING}").read_text(encoding="utf-8")
        stream.write(json.dumps(json.loads(content), indent=2) + "\n")
