"""Every reason code of a rejected row and every code of a refused source, with its sentence.

One place, so that the documentation, the reports and the tests speak of the same list.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "amount.negative": "a contract or a vehicle with an amount of money below zero",
        "archive.customer": "a live event of a customer who is not in the customers table (yet)",
        "archive.product": "a live event of a product that is not in the products table (any more)",
        "arrears.negative": "a contract in arrears for fewer than no days",
        "attribute.name": "an attribute whose name is empty, too long or has control characters",
        "attribute.value": "an attribute without a value",
        "boolean.unparsable": "not true or false",
        "cell.too_long": "a text of more than 65,536 bytes",
        "consent.outvoted": "an opt-in at the very instant of an opt-out: the opt-out stands",
        "consent.state": "a consent state other than in or out",
        "customer.too_many_events": "an older event of a customer who has more than the cap",
        "customer.unknown": "a customer who is not in the customers table",
        "dates.order": "a product or a contract that ends before it starts",
        "duplicate.conflict": "rows with the same key that say different things: all are refused",
        "erased": "a row of a customer who was forgotten: it is counted, and not kept",
        "event_type.invalid": "an event type that is empty, too long or has control characters",
        "id.control": "an id with a control character, such as a tab or a line break",
        "id.dots": "an id that is '.' or '..': it would not survive a URL",
        "id.empty": "an id that is missing",
        "id.not_text": "an id given as a fraction, a truth value or a list, not as text or integer",
        "id.too_long": "an id of more than 128 characters",
        "json.malformed": "a line that is not one JSON object",
        "mileage.negative": "a vehicle with a mileage below zero",
        "number.not_finite": "a number that is NaN or infinite",
        "number.unparsable": "not a number as declared",
        "price.negative": "a price below zero",
        "product.unknown": "a product that is not in the products table",
        "quantity.negative": "a negative quantity on an event that takes nothing back",
        "quantity.zero": "a quantity of zero: nothing happened",
        "rate.range": "a yearly rate below 0 or above 100 percent: most often a wrong unit",
        "row.ragged": "a row with more or fewer cells than the header",
        "status.unknown": "a product status other than active, hidden, paused or archived",
        "term.range": "a term of less than one month or more than 600",
        "time.future": "a time more than five minutes ahead of the clock",
        "time.gap": "a local time that the clocks skipped when summer time began",
        "time.missing": "a time that the table cannot do without",
        "time.range": "a year before 1971 or after 2200: most often a wrong unit",
        "time.unparsable": "not a time as declared",
        "value.negative": "a negative value on an event that takes nothing back",
    }
)
"""Why a row is in `rejected/`."""

REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "archive.not_found": "an archive of live events that is not there",
        "column.dtype": "a column whose type cannot be what its name says",
        "columns.duplicate": "two columns of one name, or two that map to one",
        "columns.missing": "a required column is not there",
        "consent.missing": "consent is declared, or was there before, and its file is not",
        "consent.stale": "the consent file is older than the newest event",
        "csv.quotes": "a quoted cell that is never closed, or goes on after its closing quote",
        "dataset.format": "a dataset written by another version of the format",
        "event_types.too_many": "more than 1,000 different event types: a wrong column",
        "file.empty": "a file of 0 bytes",
        "file.encoding": "bytes that are not in the declared encoding",
        "file.format": "neither Parquet, CSV nor NDJSON by its name",
        "file.header_only": "a table without rows",
        "file.too_large": "a file that unpacks to far more than it weighs",
        "file.unreadable": "a file that this user may not read",
        "file.unstable": "a file that changed while it was read, or differs from its checksum file",
        "gzip.corrupt": "a gzip file that is cut short, damaged or followed by other bytes",
        "id.float": "an id column of floating-point numbers",
        "output.busy": "another ingest is writing this dataset",
        "output.exists": "the dataset holds other content",
        "output.not_a_dataset": "the output folder holds something else",
        "output.unwritable": "the output folder cannot be written",
        "parquet.corrupt": "a Parquet file with damaged pages",
        "parquet.truncated": "a Parquet file without its end",
        "rejected.strict": "rows were rejected and --strict allows none",
        "rejected.too_many": "more rows were rejected than --max-rejected allows",
        "shrink": "products, customers or contracts shrank against the dataset before",
        "source.not_a_file": "a pipe, a device or another thing that is no regular file",
        "source.not_found": "nothing is there",
        "source.outside": "a path or link that leaves the source folder",
        "source.url": "an address, not a path",
        "table.ambiguous": "two files that could both be one table",
        "table.missing": "no file of that table",
        "time.too_many_future": "more than 0.1 % of the rows lie in the future",
        "time.unit": "times are integers and their unit is not declared",
    }
)
"""Why a whole source is refused."""
