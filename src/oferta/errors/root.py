"""The root of all errors."""


class OfertaError(Exception):
    """The root: `code` is stable and may be matched by programs, the text is for people."""

    code = "error"
