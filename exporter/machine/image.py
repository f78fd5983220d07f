"""The image that this program may run in: what is written into a container's own layer goes when the container goes."""

from __future__ import annotations

import sys
from pathlib import Path

#: What the image has beside its Python, and no other installation has: see the Dockerfile.
MARKER = "is-image"


def is_in_own_layer(folder: str, *, prefix: str = sys.prefix, root: str = "/") -> bool:
    """Whether a folder, there already or not, lies in the image's own layer rather than in what is mounted there.

    ``prefix`` is where this Python is installed, and ``root`` the container's root. False outside the image.
    """
    if not Path(prefix, MARKER).exists():
        return False
    place = Path(folder).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place.stat().st_dev == Path(root).stat().st_dev
