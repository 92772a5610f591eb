"""Left-ventricular ejection fraction from echocardiograms."""

from usbench.data.frame_sampling import BetweenMarks
from usbench.task import SplitPlan, Task

task = Task(
    name="ejection_fraction",
    title="Ejection fraction",
    dataset="echonet-dynamic",
    target="ef",
    kind="regression",
    unit="subject",
    frames=BetweenMarks(5),
    split=SplitPlan("fixed"),
    protocols=("ridge-nested@1", "attention-paper@1", "knn@1"),
    threshold=40.0,
    unit_of_target="%",
    twin="phantom-heart",
    reported="ejection_fraction",
    description=(
        "The fraction of blood that the left ventricle ejects, from five evenly spaced frames between the two traced "
        "ones (end-systole and end-diastole) of an apical four-chamber video, on the authors' split."
    ),
)
