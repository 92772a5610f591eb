"""Hematoma in the injured spinal cord."""

from usbench.data.frame_sampling import AllFrames
from usbench.task import SplitPlan, Task

task = Task(
    name="spinal_hematoma",
    title="Spinal hematoma: present or absent",
    dataset="spinal-cord-injury",
    target="hematoma",
    positive="1",
    unit="image",
    frames=AllFrames(),
    split=SplitPlan("fixed"),
    protocols=("svc-nested@1", "svc-paper@1"),
    reported="spinal_hematoma",
    description=(
        "Whether an image of a porcine spinal cord shows a hematoma, that is, carries a box in the authors' detection "
        "labels, on the authors' split. Frames of one animal resemble each other; unless file names tell the animals, "
        "nobody can check that none is on both sides."
    ),
)
