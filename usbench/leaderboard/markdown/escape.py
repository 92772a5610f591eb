"""Results as data in Markdown: a title is never a heading, a link, a tag or a picture.

What would be markup becomes a numeric character reference, which every reader of Markdown shows as the character and
takes for nothing else. Boards are escaped whole, before any page is made of them, so that no sentence can forget it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from usbench.leaderboard.board import Board, Entry, TaskFacts
from usbench.leaderboard.ranking import Ranking
from usbench.results.text import with_text

# Characters that are markup anywhere; a low line only at the edge of a word; an ampersand only where it begins a
# reference; an @ where a forge would take it for somebody's name.
_ANYWHERE = re.compile(r"[\\`*\[\]<>~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_MENTION = re.compile(r"(?<![\w])@(?=\w)")
# What is markup at the beginning of a line alone.
_FIRST = re.compile(r"^(?:[#=|+-]|(?<=^)\d{1,9}(?=[.)]\s))")


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is.

    Args:
        text: One line.
    """
    safe = _ANYWHERE.sub(_reference, text)
    safe = _MENTION.sub("@&#8203;", safe)
    found = _FIRST.match(safe)
    if found is None:
        return safe
    start = found[0]
    if start[0].isdigit():
        return f"{start}{_code(safe[len(start)])}{safe[len(start) + 1 :]}"
    return _code(start) + safe[1:]


def escaped_board(board: Board) -> Board:
    """Return a board all of whose text is escaped; what was tested stays as it was.

    Args:
        board: The board.
    """
    entries = [Entry(with_text(e.result, escaped), e.file, e.comparable) for e in board.entries]
    task = board.task if board.task.registered or not entries else TaskFacts.from_result(entries[0].result)
    standings = {protocol: board.standing(protocol) for protocol in board.protocols} if board.entries else {}
    return replace(board, task=replace(task, protocols=board.task.protocols), entries=entries, _standings=standings)


def escaped_ranking(ranking: Ranking | None, boards: Sequence[Board]) -> Ranking | None:
    """Return a ranking of escaped boards; nothing is computed again.

    Args:
        ranking: The ranking of the boards as they were.
        boards: The same boards, escaped.
    """
    if ranking is None:
        return None
    by_name = {board.name: board for board in boards}
    rows = tuple(replace(row, title=escaped(row.title)) for row in ranking.rows)
    block = tuple(by_name[board.name] for board in ranking.boards)
    return replace(ranking, boards=block, rows=rows, left_out=tuple(escaped(title) for title in ranking.left_out))


def _reference(found: re.Match[str]) -> str:
    return _code(found[0])


def _code(character: str) -> str:
    return f"&#{ord(character)};"
