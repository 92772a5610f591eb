"""Vitreous hemorrhage in ocular B-scans."""

from usbench.data.frame_sampling import AllFrames
from usbench.task import SplitPlan, Task

task = Task(
    name="eye_hemorrhage",
    title="Vitreous hemorrhage: present or absent",
    dataset="eye-hemorrhage",
    target="label",
    positive="1",
    unit="case",
    frames=AllFrames(),
    split=SplitPlan("grouped", folds=15, repeats=5),
    protocols=("svc-nested@1", "svc-paper@1"),
    strata=("device", "site"),
    twin="phantom-eye",
    reported="eye_hemorrhage",
    description=(
        "Whether an eye shows vitreous hemorrhage. A case is one eye at one visit: its images are averaged; folds are "
        "drawn by patient. The paper's 446 clinical images are not public: bring your own manifest, or run on the "
        "simulated twin, whose figures never enter a table of real ones."
    ),
)
