"""`python -m oferta`: the same as the command `oferta`."""

from oferta.cli import main

main()
