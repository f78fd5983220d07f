"""Draw the pictures of the live display that the documents show: ``scripts/pictures``."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from exporter.cli.display import segments_of
from exporter.cli.frame import frame_of
from tests.support.run_samples import FETCHING, many_scopes, sample_of

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
#: The command that a picture shows, its sample, and the terminal's size.
SHOWN = {
    "run-one-scope": ("ivs-export run --region eu-west-1 --lake s3://my-lake/ivs", sample_of(FETCHING), 80, 24),
    "run-many-scopes": ("ivs-export run --config accounts.toml", many_scopes(), 80, 24),
    "run-many-scopes-wide": ("ivs-export run --config accounts.toml", many_scopes(), 200, 50),
}
#: What rich adds that a picture in a repository does without: fonts from a host, its own address, a clip for each line.
_NEEDLESS = re.compile(r"@font-face \{.*?\}|<!--.*?-->|<clipPath.*?</clipPath>| clip-path=\"[^\"]*\"", re.DOTALL)


def picture_of(name: str) -> str:
    """One picture as SVG. It names no host: rich's own would fetch a font from one."""
    command, sample, width, height = SHOWN[name]
    console = Console(
        file=io.StringIO(), record=True, force_terminal=True, color_system="standard", width=width, height=height
    )
    console.print(segments_of(frame_of(sample, width, height), width))
    svg = console.export_svg(title=command, theme=SVG_EXPORT_THEME, unique_id="run")
    lines = _NEEDLESS.sub("", svg).replace("Fira Code", "DejaVu Sans Mono").splitlines()
    return "".join(f"{line.strip()}\n" for line in lines if line.strip())


def draw() -> None:
    """Write all of them."""
    for name in SHOWN:
        (PICTURES / f"{name}.svg").write_text(picture_of(name))


if __name__ == "__main__":
    draw()
