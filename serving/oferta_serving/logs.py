"""Structured logs to standard error: what happened, in the past tense, nothing of any customer."""

import logging
import sys
import traceback
from typing import Literal, TextIO, cast

import structlog
from structlog.typing import Processor

from oferta_serving.log_outlet import LogOutlet


def trace_of(error: BaseException) -> str:
    """Where an error came from, causes first: places and types.

    What an error says of itself is left out: `KeyError` says the key, which may be a customer.
    """
    told: list[str] = []
    at: BaseException | None = error
    while at is not None:
        told.append("".join(traceback.format_tb(at.__traceback__)) + type(at).__qualname__)
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return "\n\n".join(reversed(told))


def silence() -> None:
    """Let a command say what it has to say by itself."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def configure(log_format: Literal["text", "json"]) -> None:
    """Set up logging for this process, the server's own warnings included."""
    finish: Processor
    outlet = cast("TextIO", LogOutlet(sys.stderr))
    if log_format == "json":
        finish = structlog.processors.JSONRenderer()
    else:
        # The rich form would print the values of variables, customers' among them, and take a
        # second for it, in which nobody is answered.
        finish = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, finish],
        logger_factory=structlog.WriteLoggerFactory(outlet),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(outlet)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=finish, foreign_pre_chain=shared)
    )
    server = logging.getLogger("uvicorn")
    server.handlers = [handler]
    server.propagate = False
    server.setLevel(logging.ERROR)  # its warnings repeat what a client sent wrong
