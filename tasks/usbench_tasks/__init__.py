"""Bundled tasks and dataset readers: names only, so that listing them imports nothing."""

DATASETS = {
    "bus-bra": "usbench_tasks.datasets.bus_bra:BusBra",
    "bus-bra-subset": "usbench_tasks.datasets.bus_bra:BusBraSubset",
    "covid-blues": "usbench_tasks.datasets.covid_blues:CovidBlues",
    "eye-hemorrhage": "usbench_tasks.datasets.eye:EyeHemorrhage",
    "phantom-eye": "usbench_tasks.datasets.phantoms:PhantomEye",
}
"""Dataset name to ``module:class``."""

TASKS = {
    "breast_lesion": "usbench_tasks.breast_lesion:task",
    "covid": "usbench_tasks.covid:task",
    "eye_hemorrhage": "usbench_tasks.eye_hemorrhage:task",
}
"""Task name to ``module:attribute``."""
