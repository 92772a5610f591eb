import pytest

from usbench.data.frame_sampling import AllFrames, RandomFrames
from usbench.errors import UsbenchError
from usbench.plugins.catalog import load_task
from usbench.task.task import SplitPlan
from usbench.task.toml import read_task_file

WHOLE = """
name = "thyroid"
title = "Thyroid nodule"
dataset = "own/manifest.csv"
target = "label"
positive = 2
unit = "case"
frames = "random:20:seed3"
strata = ["device"]
protocols = ["svc-paper@1"]

[split]
kind = "grouped"
folds = 4
repeats = 2
"""


def write(folder, text):
    file = folder / "mine.toml"
    file.write_text(text)
    return file


def test_every_field_is_read(tmp_path):
    task = load_task(str(write(tmp_path, WHOLE)))
    assert task.name == "thyroid"
    assert task.dataset == str(tmp_path / "own" / "manifest.csv"), "a manifest lies beside the file that names it"
    assert task.positive == "2"
    assert task.unit == "case"
    assert task.frames == RandomFrames(20, seed=3)
    assert task.split == SplitPlan("grouped", folds=4, repeats=2)
    assert task.strata == ("device",)
    assert task.protocols == ("svc-paper@1",)


def test_two_keys_are_enough(tmp_path):
    task = read_task_file(write(tmp_path, 'dataset = "covid-blues"\ntarget = "CRP"\nkind = "regression"'))
    assert (task.name, task.dataset, task.frames) == ("mine", "covid-blues", AllFrames())
    assert task.protocols[0] == "ridge-nested@2"


def test_external_validation_is_one_word(tmp_path):
    task = read_task_file(write(tmp_path, 'dataset = "m.csv"\ntarget = "label"\nsplit = "fixed"'))
    assert task.split.kind == "fixed"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('target = "label"', "'dataset' is missing"),
        ('dataset = "m.csv"\ntarget = "a"\nthreshhold = 3.0', "unknown key 'threshhold'. Did you mean 'threshold'"),
        ('dataset = "m.csv"\ntarget = "a"\nkind = "binry"', "Did you mean 'binary'"),
        ('dataset = "m.csv"\ntarget = "a"\nunit = 3', "'unit' must be text, not 3"),
        ('dataset = "m.csv"\ntarget = "a"\nframes = "ransom:3"', "unknown frame policy"),
        ('dataset = "m.csv"\ntarget = "a"\nname = "../x"', "cannot be the name of a task"),
        (
            'dataset = "m.csv"\ntarget = "a"\nthreshold = true',
            "'threshold' must be a finite number or a list of them, not True",
        ),
        ('dataset = "m.csv"\ntarget = "a"\nstrata = "sex"', "'strata' must be a list"),
        ('dataset = "m.csv"\ntarget = "a"\nprotocols = []', "name at least one protocol"),
        ('dataset = "m.csv"\ntarget = "a"\nkind = "regression"\nprotocols = ["svc-nested@1"]', "cannot use an SVC"),
        ('dataset = "m.csv"\ntarget = "a"\n[split]\nfolds = 1', "folds must be a whole number from 2"),
        ('dataset = "m.csv"\ntarget = "a"\n[split]\nkind = "grouped"\nfold = 3', "[split]: unknown key 'fold'"),
        ('dataset = "m.csv"\ntarget = "a"\n[split]\nkind = "fixed"\nfolds = 3', "folds has no meaning"),
        ("dataset = ", "not valid TOML"),
    ],
)
def test_mistakes_are_told_with_file_and_key(tmp_path, text, told):
    with pytest.raises(UsbenchError) as error:
        read_task_file(write(tmp_path, text))
    message = str(error.value)
    assert told in message
    assert "mine.toml" in message
    assert "\n" not in message


def test_an_absent_file_is_told(tmp_path):
    with pytest.raises(UsbenchError, match="no such task file"):
        read_task_file(tmp_path / "none.toml")
