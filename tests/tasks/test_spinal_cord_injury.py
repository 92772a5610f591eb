import pytest
from made_up_files import write_image
from usbench_tasks.datasets.spinal_cord_injury import SpinalCordInjury

from usbench.errors import DataError
from usbench.plugins.catalog import load_task
from usbench.task.cohort import build_cohort, draw_splits

LAYOUTS = [("{split}/images", "{split}/labels"), ("images/{split}", "labels/{split}")]
BOX = "0 0.5 0.5 0.1 0.2\n"


def build(root, layout, names, train="train"):
    images, labels = layout
    for seed, (split, name, label) in enumerate(names):
        write_image(root / images.format(split=split) / f"{name}.png", seed)
        if label is not None:
            file = root / labels.format(split=split) / f"{name}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(label)
    return root


NAMED = [
    ("train", "pig1_001", BOX),
    ("train", "pig1_002", ""),
    ("valid", "pig2_001", BOX * 2),
    ("valid", "pig3_001", None),
    ("test", "pig4_007", BOX),
    ("test", "pig5_001", ""),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_boxes_become_labels_on_the_authors_split(tmp_path, layout):
    data = SpinalCordInjury(build(tmp_path, layout, NAMED))
    table = data.index.table.assign(name=lambda t: t["path"].str[-12:-4]).set_index("name")
    assert table["hematoma"].to_dict() == {
        "pig1_001": 1,
        "pig1_002": 0,
        "pig2_001": 1,
        "pig3_001": 0,
        "pig4_007": 1,
        "pig5_001": 0,
    }
    assert table.loc["pig2_001", ["boxes", "split", "subject"]].tolist() == [2, "val", "2"]
    assert data.index.notes == ("1 images have no label file and count as without hematoma.",)
    task = load_task("spinal_hematoma")
    ((split,),) = draw_splits(task.split, build_cohort(task, data))
    assert (len(split.train), len(split.test)) == (4, 2)


def test_an_animal_on_both_sides_is_an_error_with_its_name(tmp_path):
    data = SpinalCordInjury(build(tmp_path, LAYOUTS[0], [*NAMED, ("test", "pig1_009", BOX)]))
    task = load_task("spinal_hematoma")
    with pytest.raises(DataError, match=r"\b1\b"):
        draw_splits(task.split, build_cohort(task, data))


def test_unnamed_animals_are_told(tmp_path):
    names = [(split, f"{name}_x".replace("pig", "img"), label) for split, name, label in NAMED]
    index = SpinalCordInjury(build(tmp_path, LAYOUTS[0], names)).index
    assert index.table["subject"].is_unique
    assert "is unverified" in index.notes[-1]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "neither train/images or images/train is there"),
        ([("train", "pig1", None)], "1 images but not one label file"),
        ([("train", "pig1", "0 0.5 0.5\n")], r"pig1.txt, line 1: '0 0.5 0.5' is not a box"),
        ([("train", "pig1", BOX + "hematoma at 3\n")], r"pig1.txt, line 2"),
    ],
)
def test_damage_is_told(tmp_path, names, told):
    with pytest.raises(DataError, match=told):
        _ = SpinalCordInjury(build(tmp_path, LAYOUTS[0], names)).index
