"""COVID-19 from lung ultrasound."""

from usbench.data.frame_sampling import RandomFrames
from usbench.task import SplitPlan, Task

task = Task(
    name="covid",
    title="COVID-19: PCR positive or negative",
    dataset="covid-blues",
    target="cov_test",
    positive="1",
    unit="subject",
    frames=RandomFrames(20, seed=0),
    split=SplitPlan("grouped", folds=5, repeats=5),
    protocols=("svc-nested@1", "svc-paper@1"),
    strata=("sex", "age_group", "bluepoint", "severity"),
    twin="phantom-lung",
    reported="covid",
    description=(
        "Whether a patient's PCR test was positive, from lung videos at up to six BLUE points. Twenty frames are drawn "
        "from all videos of a patient and their embeddings averaged, so that a decision concerns a patient."
    ),
)
