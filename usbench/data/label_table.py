"""Reading label tables with messages that name the file, the column and the rows."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from usbench.core.limits import TABLE_BYTES
from usbench.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet", ".tsv")
"""File name endings of a table."""

NO_FILE = "a folder, a pipe or a device, not a regular file. Write the table to a file and give that."
"""Why a path that exists is no table; what a pipe holds can be read once, and tables are read several times."""

_MISSING = ("", "nan", "NaN")
"""Cells that are empty in any column; pandas would take these for empty too:"""

_MISSING_AMONG_NUMBERS = frozenset(
    ("NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "None", "NONE", "none", "null", "NULL", "Null", "na", "-nan", "-NaN")
)


_EXCEL = re.compile(r"\"?sep=(\\t|[^\"])\"?", re.IGNORECASE)


def is_table(name: str | Path) -> bool:
    """Say whether a name ends as a table's does."""
    return str(name).lower().endswith(SUFFIXES)


def read_table(path: Path, required: Iterable[str] = (), text: Iterable[str] = ()) -> pd.DataFrame:
    """Read a CSV or Parquet table and require columns.

    Comma, semicolon and tab separate columns of a CSV; a byte-order mark and Excel's first line ``sep=;`` are skipped;
    spaces around column names are removed. Rows that are wholly empty are dropped, but keep their place in the index,
    so that messages can count rows as a spreadsheet does.

    Empty cells are missing. "NA", "None" and the like are missing in a column of numbers; in a column of words they are
    words, as "none" is a class in many tables.

    Args:
        path: The file.
        required: Columns that must be there.
        text: Columns kept as text, so that the subject ``007`` does not become 7.

    Raises:
        DataError: The file is absent, is not such a table, or lacks a required column.
    """
    import pandas as pd

    if not path.is_file():
        if path.exists():
            raise DataError(f"{path}: {NO_FILE}")
        raise DataError(f"{path}: no such file. Check that the folder is complete, or the path.")
    required, text = list(required), list(text)
    separator, skipped = (",", 0) if path.suffix.lower() == ".parquet" else _layout(path)
    try:
        if path.suffix.lower() == ".parquet":
            _check_parquet(path)
            table = pd.read_parquet(path)
        else:
            table = pd.read_csv(
                path,
                sep=separator,
                encoding="utf-8-sig",
                skip_blank_lines=False,
                skipinitialspace=True,
                skiprows=skipped,
                keep_default_na=False,
                na_values=list(_MISSING),
                dtype=dict.fromkeys(text, str),
            )
            table.index += skipped
    except DataError:
        raise
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    except pd.errors.EmptyDataError:
        raise DataError(f"{path}: empty, not even a header row.") from None
    except Exception as error:  # parsers of two libraries, each with its own family of errors
        raise DataError(f"{path}: not readable as a table ({_one_line(error)}).") from None
    table.columns = pd.Index([str(column).strip() for column in table.columns])
    require_columns(table, required, path)
    for column in text:
        if column in table.columns:
            table[column] = table[column].map(_as_text, na_action="ignore").astype("str")
    for column in table.columns:
        if column not in text:
            table[column] = _with_missing_numbers(table[column])
    return table.dropna(how="all")


def _check_parquet(path: Path) -> None:
    """Refuse a table of which a few bytes stand for more rows than memory can hold."""
    import pyarrow.parquet

    facts = pyarrow.parquet.read_metadata(path)
    stored = sum(facts.row_group(i).total_byte_size for i in range(facts.num_row_groups))
    TABLE_BYTES.check(path, max(stored, facts.num_rows * facts.num_columns * 8), DataError)


def require_columns(table: pd.DataFrame, required: Sequence[str], where: object) -> None:
    """Raise when a column is absent.

    Args:
        table: The table.
        required: Names of columns.
        where: What the message begins with, normally the path.

    Raises:
        DataError: A column is absent; the message lists what is there and guesses what was meant.
    """
    for column in required:
        if column not in table.columns:
            hint = did_you_mean(column, table.columns)
            raise DataError(f"{where}: no column {column!r}.{hint} It has {listed(table.columns, 12)}.")


def require_unique(table: pd.DataFrame, column: str, what: str, where: object) -> None:
    """Raise when two rows are about the same thing.

    Args:
        table: The table.
        column: Column that names the thing.
        what: What it is, such as ``patient``.
        where: What the message begins with, normally the path.

    Raises:
        DataError: A value of the column is in two rows.
    """
    twice = table.loc[table[column].duplicated(), column]
    if not twice.empty:
        raise DataError(f"{where}: {what} {listed(twice.unique())} has two rows. Restore the published file.")


def row_numbers(table: pd.DataFrame, wrong: pd.Series[bool], limit: int = 5) -> str:
    """Return ``"row 4"`` or ``"rows 2, 5 and 3 more"`` as a spreadsheet counts: the header is row 1.

    Args:
        table: Table as :func:`read_table` returned it, index unchanged.
        wrong: Boolean mask of the rows meant.
        limit: Number of rows named before the rest is only counted.
    """
    numbers = [str(int(i) + 2) for i in table.index[wrong.to_numpy()]]
    return f"row{'s' if len(numbers) > 1 else ''} {listed(numbers, limit)}"


def listed(items: Iterable[object], limit: int = 5) -> str:
    """Return ``"a, b, c and 4 more"``."""
    texts = [str(item) for item in items]
    rest = len(texts) - limit
    return ", ".join(texts[:limit]) + (f" and {rest} more" if rest > 0 else "")


def _with_missing_numbers(column: pd.Series) -> pd.Series:
    """Return a column of numbers that is interspersed with words for "missing" as numbers."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column
    words = column.astype("string").str.strip()
    missing = words.isin(_MISSING_AMONG_NUMBERS)
    if not missing.any():
        return column
    numbers = pd.to_numeric(words.mask(missing), errors="coerce")
    is_number = numbers.notna() | missing | words.isna()
    if not is_number.all() or not numbers.notna().any():
        return column
    numbers = numbers.astype("float64")
    return numbers


def _layout(path: Path) -> tuple[str, int]:
    """Guess what separates columns from the header, and refuse a header with a name in it twice.

    Returns:
        The separator, and how many lines stand before the header.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, skipped = file.readline(), 0
            told = _EXCEL.fullmatch(header.strip())
            if told is not None:  # Excel's hint to itself
                header, skipped = file.readline(), 1
    except UnicodeDecodeError:
        raise _not_utf8(path) from None
    separator = max(",;\t", key=header.count)  # a tie, as in a table of one column, is read as commas
    if path.suffix.lower() == ".tsv":
        separator = "\t"
    elif told is not None:
        separator = "\t" if told[1] == "\\t" else told[1]
    try:
        names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    except csv.Error as error:
        raise DataError(f"{path}: not readable as a table (header row: {error}).") from None
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:  # pandas would quietly call the second one 'name.1'
        raise DataError(f"{path}: column {twice[0]!r} appears twice. Rename one.")
    return separator, skipped


def _not_utf8(path: Path) -> DataError:
    return DataError(f"{path}: not UTF-8 text. Save it as 'CSV UTF-8'.")


def _as_text(value: object) -> str:
    # Parquet and spreadsheets often hold identifiers as floats: 7.0 is subject 7.
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def percentages(table: pd.DataFrame, column: str, where: object) -> pd.Series[float]:
    """Return a column of percentages, such as an ejection fraction; empty cells stay missing.

    Args:
        table: The table.
        column: Name of the column.
        where: File for messages.

    Raises:
        DataError: A value is no number from 0 to 100; the message names the row.
    """
    import pandas as pd

    values = pd.to_numeric(table[column], errors="coerce").astype("float64")
    wrong = table[column].notna() & ~((values >= 0) & (values <= 100))
    if wrong.any():
        raise DataError(f"{where}, {row_numbers(table, wrong)}: {column!r} is not a number from 0 to 100 (percent).")
    return values
