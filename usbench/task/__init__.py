"""The task contract: what a task declares, and the units and frames that follow from it."""

from usbench.task.task import Kind, SplitKind, SplitPlan, Task, Unit

__all__ = ["Kind", "SplitKind", "SplitPlan", "Task", "Unit"]
