from collections.abc import Callable
from pathlib import Path

from usbench.results import board_name, file_of, result_path
from usbench.results.schema import Result


def test_a_board_is_called_by_its_task_unless_the_data_are_other_ones() -> None:
    assert board_name("breast_lesion", "bus-bra", "bus-bra") == "breast_lesion"
    assert board_name("breast_lesion", "bus-bra", "bus-bra-subset") == "breast_lesion@bus-bra-subset"


def test_results_lie_by_board_and_encoder(make_result: Callable[..., Result]) -> None:

    result = make_result("timm:resnet18", "breast_lesion", dataset="bus-bra-subset", declared="bus-bra", n=20)
    assert result.board == "breast_lesion@bus-bra-subset"
    path = result_path(Path("r"), result)
    assert path == file_of(Path("r"), result.board, "timm:resnet18")
    assert path.parent == Path("r/breast_lesion@bus-bra-subset")
    assert ":" not in path.name
