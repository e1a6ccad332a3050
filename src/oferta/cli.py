"""The one command, `oferta`. Applications register their commands by entry point.

The core imports no application: whatever is installed under the entry-point group
`oferta.commands` becomes part of the command. Commands print results to standard output, progress
and notes to standard error, and end with 0 (done), 1 (failed), 2 (what was asked for is wrong)
or 130 (stopped by Ctrl-C).
"""

import os
import signal
import sys
from importlib.metadata import entry_points, version
from types import FrameType
from typing import Annotated, NoReturn

import typer

from oferta.errors import InputError, OfertaError
from oferta.home import TENANT_VARIABLE

_DEBUG = "OFERTA_DEBUG"

app = typer.Typer(
    name="oferta",
    help="Recommendations and next best offers: ingest, train, compare, publish, serve.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"oferta {version('oferta')}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    tenant: Annotated[
        str | None,
        typer.Option(help="Whose data the command is about (default: OFERTA_TENANT, else ours)."),
    ] = None,
) -> None:
    """Recommendations and next best offers for sellers of financial products."""
    if tenant is not None:
        os.environ[TENANT_VARIABLE] = tenant  # read by whatever asks for the state folder


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """Unwind on SIGTERM as on Ctrl-C, so that what was started, an embedded Redis, is stopped."""
    sys.exit(128 + number)


def load_commands() -> None:
    """Make the installed applications' commands part of the command."""
    for entry in sorted(entry_points(group="oferta.commands"), key=lambda entry: entry.name):
        app.add_typer(entry.load())


def main() -> None:
    """Run the command line; the only place where an error becomes an exit code."""
    # ALS is several times slower when BLAS threads fight its own; it must be set before import.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, _terminate)
    load_commands()
    try:
        app()
    except OfertaError as error:
        sys.stderr.write(f"oferta: {error}\n")
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        sys.stderr.write("oferta: stopped\n")
        sys.exit(130)
    except BrokenPipeError:
        os._exit(1)  # the reader of our output has gone: nobody is left to tell
    except OSError as error:
        sys.stderr.write(f"oferta: {error}\n")
        sys.exit(1)
    except Exception as error:
        if os.environ.get(_DEBUG):
            raise
        sys.stderr.write(
            f"oferta: {type(error).__name__}: {error}\n"
            f"This is a bug in oferta. With {_DEBUG}=1 the same command prints where it happened.\n"
        )
        sys.exit(1)
