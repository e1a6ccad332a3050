"""What rules compute with: four kinds of value, each of which may be null.

A date is a whole number of days since 1970 wherever rules run, so that `contract_end - today <= 60`
reads as it should; its kind keeps it from being compared with a plain number by mistake.
"""

from typing import Final, Literal

Kind = Literal["number", "text", "boolean", "date"]

Value = float | str | bool | None
"""Numbers and dates are floats."""

SAID: Final[dict[Kind, str]] = {
    "number": "a number",
    "text": "text",
    "boolean": "true or false",
    "date": "a date",
}
"""Each kind as messages speak of it."""
