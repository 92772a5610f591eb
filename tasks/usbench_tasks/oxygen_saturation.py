"""Blood oxygen saturation from lung ultrasound."""

from usbench.data.frame_sampling import RandomFrames
from usbench.task import SplitPlan, Task

task = Task(
    name="oxygen_saturation",
    title="Oxygen saturation",
    dataset="covid-blues",
    target="oxygen_saturation_without_ox",
    kind="regression",
    unit="subject",
    frames=RandomFrames(20, seed=0),
    split=SplitPlan("grouped", folds=10, repeats=1),
    protocols=("ridge-nested@1", "attention-paper@1", "knn@1"),
    strata=("sex", "age_group", "bluepoint"),
    threshold=95.0,
    unit_of_target="%",
    twin="phantom-lung",
    reported="oxygen_saturation",
    description=(
        "Saturation without oxygen therapy, known for 56 of the 63 patients of COVID-BLUES, from twenty frames drawn "
        "from all lung videos of a patient. Predicting the median for everyone is a hard rival."
    ),
)
