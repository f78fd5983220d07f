"""What may be written to a terminal, which obeys some of the characters that it is sent."""


def plain(text: str) -> str:
    """A text from elsewhere, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)
