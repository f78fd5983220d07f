"""Words for people: counts, and what may be written to a terminal, which obeys some of what it is sent."""


def plain(text: str) -> str:
    """A text from elsewhere, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def counted(count: int, thing: str) -> str:
    """A count with its noun, whose plural ends with an s: ``1 file``, ``1,204 files``."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def undated(count: int, among: int) -> str:
    """What is said of events whose time can't be read."""
    have = "has" if count == 1 else "have"
    return f"{count:,} of {counted(among, 'event')} {have} no eventTime that can be read"
