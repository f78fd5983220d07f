"""The page as people meet it: in a browser, wide and narrow, in the dark, on paper, and with hostile names in it."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from exporter.report.elements import cut_name
from tests.support.browser import browser_tab, needs_browser
from tests.support.report_facts import HOSTILE, hostile_page, whole_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.browser import Tab

pytestmark = [needs_browser, pytest.mark.xdist_group("browser")]

_SIZES = (400, 1_600)
#: How far the page reaches beyond its window, and what in it lies outside.
_BEYOND = "document.documentElement.scrollWidth - window.innerWidth"
_WORDS = """JSON.stringify({
    title: document.title,
    scripts: document.querySelectorAll('script, img, iframe, object, embed, link, form, base').length,
    handlers: [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => /^on/i.test(a.name))).length,
    headings: [...document.querySelectorAll('h1')].map(h => h.textContent),
    names: [...document.querySelectorAll('bdi')].map(e => e.textContent),
    shown: document.body.checkVisibility(),
})"""


class Served:
    """Pages on a server of their own, which counts what is asked of it."""

    def __init__(self) -> None:
        self.pages: dict[str, str] = {}
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        text = self.pages.get(request.path)
        return web.Response(status=404) if text is None else web.Response(text=text, content_type="text/html")

    def add(self, name: str, text: str) -> str:
        """Put a page there, and return its address."""
        self.pages[f"/{name}"] = text
        return f"{self.url}/{name}"


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    served = Served()
    application = web.Application()
    application.router.add_get("/{name:.*}", served.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield served
    finally:
        await runner.cleanup()


async def _beyond(tab: Tab) -> dict[int, int]:
    """How many pixels the page is too wide for each size of window."""
    found = {}
    for width in _SIZES:
        await tab.resize(width)
        found[width] = await tab.value(_BEYOND)
    return found


async def test_hostile_names_show_as_text_and_nothing_runs_or_leaves_the_page() -> None:
    """A name in every text of a lake: shown, harmless, and no wider than the page; the page asks for nothing else."""
    async with serving() as served, browser_tab() as tab:
        await tab.open(served.add("page", hostile_page()))
        found = json.loads(await tab.value(_WORDS))
        assert found["title"].startswith("IVS Real-Time report")
        assert (found["scripts"], found["handlers"]) == (0, 0)
        assert found["headings"] == ["IVS Real-Time sessions"]
        assert found["shown"]
        shown = {name.strip() for name in found["names"]}
        assert {cut_name(text).strip() for text in HOSTILE.values()} <= shown
        assert not any(letter in name for name in shown for letter in "\u202e\u2066\u200f\x07\x00\x1b\n\x85\u2028")
        assert await _beyond(tab) == dict.fromkeys(_SIZES, 0)
        assert set(served.asked) - {"/favicon.ico"} == {"/page"}
        assert len(tab.requested) == 1


async def test_the_policy_holds_where_escaping_would_not() -> None:
    """A script and a picture that stood in the page all the same would not run, and not be fetched."""
    bad = "<script>document.title='owned'</script><img src='/picture'><link rel=stylesheet href='/style'></body>"
    async with serving() as served, browser_tab() as tab:
        await tab.open(served.add("page", whole_page().replace("</body>", bad)))
        assert (await tab.value("document.title")).startswith("IVS Real-Time report")
        assert set(served.asked) - {"/favicon.ico"} == {"/page"}


async def test_it_reads_well_everywhere() -> None:
    """Narrow and wide, in the dark, on paper, by keyboard, and without colours."""
    async with serving() as served, browser_tab() as tab:
        await tab.open(served.add("page", whole_page()))
        assert await _beyond(tab) == dict.fromkeys(_SIZES, 0)

        light = await tab.value("getComputedStyle(document.body).backgroundColor")
        await tab.show_as(scheme="dark")
        dark = await tab.value("getComputedStyle(document.body).backgroundColor")
        assert (sum(_channels(light)), sum(_channels(dark)) < 3 * 64) == (3 * 255, True)

        # What is folded is open on paper, which is white.
        folded = "document.querySelector('details table').checkVisibility()"
        await tab.value("document.querySelector('details').open = false")
        assert not await tab.value(folded)
        await tab.show_as("print", "dark")
        assert await tab.value(folded)
        assert sum(_channels(await tab.value("getComputedStyle(document.body).backgroundColor"))) == 3 * 255
        assert (await tab.pdf()).startswith(b"%PDF-")
        await tab.show_as()

        # Each link and each fold is reached by the Tab key, in the page's order, and shows that it is.
        stops = await tab.value("document.querySelectorAll('a, summary').length")
        for place in range(stops):
            for kind in ("keyDown", "keyUp"):
                await tab.send("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
            at = "[...document.querySelectorAll('a, summary')].indexOf(document.activeElement)"
            assert await tab.value(at) == place
            assert await tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"

        # What is guessed is dashed, published and watched differ in height, and a text is never stretched.
        dashes = "getComputedStyle(document.querySelector('{}')).strokeDasharray"
        assert "none" not in {await tab.value(dashes.format(of)) for of in (".lane .guessed", "rect.high")}
        heights = "[...document.querySelectorAll('.lane rect.{}')][0].getBoundingClientRect().height"
        assert await tab.value(heights.format("low")) != await tab.value(heights.format("watched"))
        assert await tab.value("document.querySelectorAll('svg[viewBox] text').length") == 0


def _channels(colour: str) -> list[int]:
    """The three channels of a computed colour: ``rgb(1, 2, 3)``."""
    return [int(channel) for channel in colour.partition("(")[2].rstrip(")").split(",")[:3]]
