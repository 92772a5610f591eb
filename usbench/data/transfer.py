"""Two datasets as one index: the first to train on, the second to test on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import listed
from usbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from usbench.media import Media

SIDES = ("train", "test")


@dataclass(frozen=True)
class Part:
    """One of the two datasets, and how its labels are called.

    Attributes:
        dataset: The dataset.
        target: Its column of the label or value.
        labels: Label as it stands there to label as the task has it; others stay as they are.
    """

    dataset: Dataset
    target: str
    labels: Mapping[str, str]


class TransferDataset(Dataset):
    """Both datasets, each path and subject with its side before it; column ``split`` says train or test.

    Columns are the target, ``source`` (name of the dataset), ``case`` where both have it, and every column that both
    have.

    Args:
        train: Trained on.
        test: Tested on.
        target: Name of the label's column in the joined index.
        classes: Whether labels are classes, which must then be the same in both.
        local_subjects: Whether equal subject names mean different patients.
    """

    def __init__(self, train: Part, test: Part, target: str, classes: bool, local_subjects: bool = False) -> None:
        self._parts = {"train": train, "test": test}
        self._target, self._classes, self._local = target, classes, local_subjects
        a, b = train.dataset.card, test.dataset.card
        self.card = DatasetCard(
            name=f"{train.dataset.name}-to-{test.dataset.name}",
            title=f"{a.title}, tested on {b.title}",
            licence=a.licence if a.licence == b.licence else f"{a.title}: {a.licence}; {b.title}: {b.licence}",
            citation="; ".join(dict.fromkeys(c for c in (a.citation, b.citation) if c)),
            organ=a.organ if a.organ == b.organ else "",
            redistributable=a.redistributable and b.redistributable,
            synthetic=a.synthetic or b.synthetic,
            aliases=tuple(dict.fromkeys((a.name, *a.aliases, b.name, *b.aliases))),
            cohort=b.cohort or b.name,  # who is decided about
            note=" ".join(dict.fromkeys(note for note in (a.note, b.note) if note)),
        )
        super().__init__(train.dataset.root)

    def constituents(self) -> tuple[str, ...]:
        """Names of all sets in either."""
        return tuple(name for part in self._parts.values() for name in part.dataset.constituents())

    def known_as(self) -> tuple[tuple[str, ...], bool]:
        """Names of both sets, if both are known."""
        sides = [part.dataset.known_as() for part in self._parts.values()]
        return tuple(name for names, _ in sides for name in names), all(complete for _, complete in sides)

    @property
    def unseen(self) -> bool:
        """Whether it is declared of every set that is not known otherwise."""
        return all(part.dataset.unseen or part.dataset.known_as()[1] for part in self._parts.values())

    def read(self) -> Index:
        """Join the two indexes.

        Raises:
            DataError: A side is wrong, a subject is in both, or their labels differ.
        """
        import pandas as pd

        tables, notes = {}, []
        for side, part in self._parts.items():
            index = part.dataset.labelled(part.target)
            tables[side] = self._own(side, part, index.table)
            notes += [f"{part.dataset.card.title}: {note}" for note in index.notes]
        self._refuse_shared_subjects(tables)
        if self._classes:
            self._refuse_other_labels(tables)
        common = [c for c in tables["train"].columns if c in tables["test"].columns]
        return Index(pd.concat([tables[side][common] for side in SIDES], ignore_index=True), tuple(notes))

    def check_digests(self, digests: Mapping[str, str]) -> None:
        """Refuse a file that is in both datasets.

        Args:
            digests: SHA-256 of the content behind each path.

        Raises:
            DataError: The same file is trained on and tested on; the message names both paths.
        """
        train = {digest: path for path, digest in digests.items() if path.startswith("train/")}
        shared = [(train[d], path) for path, d in digests.items() if path.startswith("test/") and d in train]
        if shared:
            a, b = (path.partition("/")[2] for path in shared[0])
            raise DataError(
                f"{self.name}: {len(shared)} files are in both datasets, first {a!r} and {b!r}. What was trained on "
                "cannot be tested on: take their patients out of one of the two."
            )

    def open(self, path: str) -> Media:
        """Open a file of either dataset."""
        side, _, own = path.partition("/")
        return self._parts[side].dataset.open(own)

    def digest(self, path: str) -> str:
        """Return the SHA-256 of a file of either dataset."""
        side, _, own = path.partition("/")
        return self._parts[side].dataset.digest(own)

    def _own(self, side: str, part: Part, table: pd.DataFrame) -> pd.DataFrame:
        values = table[part.target]
        if self._classes:
            values = values.map(lambda value: part.labels.get(_text(value), _text(value)))
        table = table.drop(columns=[c for c in ("split", "fold", part.target) if c in table.columns])
        name = part.dataset.name
        joined = table.assign(
            split=side,
            source=name,
            path=f"{side}/" + table["path"],
            subject=name + "/" + table["subject"] if self._local else table["subject"],
        )
        joined[self._target] = values
        return joined

    def _refuse_shared_subjects(self, tables: Mapping[str, pd.DataFrame]) -> None:
        shared = sorted(set(tables["train"]["subject"]) & set(tables["test"]["subject"]))
        if shared:
            raise DataError(
                f"{self.name}: {len(shared)} subjects are in both datasets: {listed(shared)}. Take them out of one of "
                "the two. If each dataset merely numbers its own patients, say so: local_subjects = true."
            )

    def _refuse_other_labels(self, tables: Mapping[str, pd.DataFrame]) -> None:
        found = {side: sorted(set(tables[side][self._target])) for side in SIDES}
        if found["train"] != found["test"]:
            a, b = (self._parts[side].dataset.name for side in SIDES)
            raise DataError(
                f"{self.name}: the labels differ: {a} has {listed(found['train'])}, {b} has {listed(found['test'])}. "
                'Give the same question, or call them alike: labels = { "1" = "malignant", "0" = "benign" }.'
            )


def _text(value: object) -> str:
    """Return a label as text, so that 1, 1.0 and "1" are one class."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
