"""A map of organs."""

from usbench.data.frame_sampling import RandomFrames
from usbench.task import SplitPlan, Task

task = Task(
    name="organ_map",
    title="Map of organ groups",
    dataset="organs",
    target="organ",
    kind="map",
    unit="image",
    frames=RandomFrames(1, seed=0),
    units_per_class=200,
    split=SplitPlan("none"),
    protocols=("neighbours@1", "neighbours-other-source@1"),
    strata=("source",),
    description=(
        "Where images of different organs fall in the embedding: 200 images an organ group, one frame of each video. "
        "Scored by whether the nearest images of other subjects, and then of other published sets, show the same "
        "organ; drawn by UMAP, with figures for how much of that survives the projection."
    ),
)
