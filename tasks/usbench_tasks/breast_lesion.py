"""Malignancy of breast lesions."""

from usbench.data.frame_sampling import AllFrames
from usbench.task import SplitPlan, Task

task = Task(
    name="breast_lesion",
    title="Breast lesion: malignant or benign",
    dataset="bus-bra",
    target="pathology",
    positive="malignant",
    unit="image",
    frames=AllFrames(),
    split=SplitPlan("official", folds=5, repeats=1),
    protocols=("svc-nested@1", "svc-paper@1"),
    strata=("device", "birads", "side"),
    fallback="bus-bra-subset",
    description=(
        "Whether a breast lesion proved malignant on biopsy, from one image. The dataset's own five folds keep both "
        "breasts of a patient together. Not a task of the TUSA paper, whose authors trained on these images."
    ),
)
