"""Fat in the liver."""

from usbench.data.frame_sampling import AllFrames
from usbench.task import SplitPlan, Task

task = Task(
    name="liver_steatosis",
    title="Liver steatosis",
    dataset="byra-liver",
    target="fat",
    kind="regression",
    unit="subject",
    frames=AllFrames(),
    split=SplitPlan("leave-one-out"),
    protocols=("ridge-nested@1", "attention-paper@1", "knn@1"),
    threshold=5.0,
    unit_of_target="% of hepatocytes",
    twin="phantom-liver",
    reported="liver_steatosis",
    description=(
        "The share of hepatocytes with fat, as biopsy showed, from ten frames a patient of liver beside kidney; one "
        "patient is left out at a time. Steatosis begins at 5 %."
    ),
)
