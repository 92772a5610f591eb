"""What is known of a protocol without running it: the one table that probes, diagnostics and pages read.

It imports neither NumPy nor torch, so that pages can be rendered without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ProtocolFacts:
    """One family of protocols; its versions share these facts.

    Attributes:
        name: Name without version, such as ``svc-nested``.
        title: Heading on pages.
        text: What it does, for the reader of a page.
        plain: The same in a few words, to stand beside the name in a terminal.
        model: What is fitted. Two protocols of one model differ by how they tune it, and only such are compared for
            optimism.
        from_paper: Whether it follows the paper, so that published values may stand beside it.
        tunes_on_test: Whether it is tuned on the very folds that it scores.
    """

    name: str
    title: str
    text: str
    plain: str = ""
    model: str = ""
    from_paper: bool = False
    tunes_on_test: bool = False

    @property
    def on_one_test_set(self) -> str:
        """The text where there are no folds, but units to train on and others to test on."""
        text = self.text
        for folds, sides in _WITHOUT_FOLDS:
            text = text.replace(folds, sides)
        return text


_WITHOUT_FOLDS = (
    ("inside the training folds by splits", "inside the training set by splits"),
    ("trained on the training folds", "trained on the training set"),
    ("decided inside them", "decided inside it"),
    ("on the very folds that are then scored", "on the very test set that is then scored"),
    (" Folds never share a subject.", " No subject is trained on and tested on."),
)

PROTOCOL_FACTS: Mapping[str, ProtocolFacts] = {
    facts.name: facts
    for facts in (
        ProtocolFacts(
            "neighbours",
            "Nearest neighbours of other subjects",
            "The 15 nearest images of other subjects, by Euclidean distance between standardised embeddings, vote on "
            "what an image shows. Nothing is trained or tuned.",
            plain="15 nearest neighbours of other subjects",
            model="neighbours",
        ),
        ProtocolFacts(
            "neighbours-other-source",
            "Nearest neighbours of other sources",
            "Only images of other published sets vote, and votes are weighed by how many images of each class may "
            "vote. Scanner, crop and compression of a set can then no longer give the class away. Classes that one "
            "source alone shows cannot be asked about and are left out. Few voters, weighed up, win a little more "
            "often by chance than many: the random vector shows what chance is here.",
            plain="nearest neighbours of other sources",
            model="neighbours",
        ),
        ProtocolFacts(
            "knn",
            "Nearest neighbours",
            "The training units with the nearest embeddings answer, nearer ones counting more. Nothing is tuned.",
            plain="nearest neighbours",
            model="knn",
        ),
        ProtocolFacts(
            "svc-nested",
            "Nested",
            "Linear SVC on standardised embeddings. Its regularisation is chosen inside the training folds by splits "
            "of their own, so no test subject has any say in it. Folds never share a subject.",
            plain="linear SVC, tuned inside the training data",
            model="linear-svc",
        ),
        ProtocolFacts(
            "svc-paper",
            "As in the paper",
            "Linear SVC whose regularisation is chosen for the best accuracy on the very folds that are then scored. "
            "This flatters every encoder, the more so the smaller the data.",
            plain="linear SVC, tuned on the folds it scores, as in the paper",
            model="linear-svc",
            from_paper=True,
            tunes_on_test=True,
        ),
        ProtocolFacts(
            "ridge-nested",
            "Nested",
            "Ridge regression on standardised embeddings. Its penalty is chosen inside the training folds by splits of "
            "their own, so no test subject has any say in it. Folds never share a subject.",
            plain="ridge regression, tuned inside the training data",
            model="ridge",
        ),
        ProtocolFacts(
            "ordinal-ridge",
            "Nested",
            "Ridge regression on the grade. Its penalty, and the cut points that turn a prediction into a grade, are "
            "chosen inside the training folds by splits of their own, so no test subject has any say in them.",
            plain="ridge regression on grades, tuned inside the training data",
            model="ordinal-ridge",
        ),
        ProtocolFacts(
            "attention-nested",
            "Attention head, nested",
            "Linear layers and attention over the frames of a unit, trained on the training folds; when to stop is "
            "decided inside them, so no test subject has any say in it.",
            plain="attention head, stopped inside the training folds",
            model="attention",
        ),
        ProtocolFacts(
            "attention-paper",
            "As in the paper",
            "Linear layers and temporal attention over the frames of a unit, several random initialisations, averaged.",
            plain="attention head, as in the paper",
            model="attention",
            from_paper=True,
        ),
    )
}


def protocol_facts(name: str) -> ProtocolFacts:
    """Return the facts of a versioned protocol.

    Args:
        name: For example ``svc-nested@1``. One that is unknown here, such as that of a plugin or of a newer result
            file, is called by its name.
    """
    return PROTOCOL_FACTS.get(name.partition("@")[0], ProtocolFacts(name, name, ""))


def with_plain_words(name: str) -> str:
    """Return a protocol's name with what it does in a few words, as ``knn@1 (nearest neighbours)``."""
    plain = protocol_facts(name).plain
    return f"{name} ({plain})" if plain else name


def paper_protocol(names: Iterable[str]) -> str | None:
    """Return the first protocol that follows the paper, if there is one."""
    return next((name for name in names if protocol_facts(name).from_paper), None)


def nested_twin(flat: str) -> str | None:
    """Return the protocol that differs from one tuned on its test folds in nothing but where it is tuned.

    Versions of one number share grid and criterion.

    Args:
        flat: For example ``svc-paper@1``.

    Returns:
        For example ``svc-nested@1``; ``None`` where there is none, or the protocol is not tuned on its test folds.
    """
    facts, number = protocol_facts(flat), flat.partition("@")[2]
    if not facts.tunes_on_test:
        return None
    like = (f.name for f in PROTOCOL_FACTS.values() if f.model == facts.model and not f.tunes_on_test)
    return next((f"{name}@{number}" for name in like), None)


def flat_and_nested(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two protocols of one model, of which the first is tuned on its test folds and the second is not.

    Args:
        names: Protocols of a task or a result, in their order.

    Returns:
        The two names, or ``None`` where there are no such two.
    """
    known = list(names)
    pairs = ((flat, nested_twin(flat)) for flat in known)
    return next(((flat, nested) for flat, nested in pairs if nested in known), None)
