"""Bundled tasks and dataset readers: names only, so that listing them imports nothing."""

DATASETS = {
    "bus-bra": "usbench_tasks.datasets.bus_bra:BusBra",
    "bus-bra-subset": "usbench_tasks.datasets.bus_bra:BusBraSubset",
    "byra-liver": "usbench_tasks.datasets.byra_liver:ByraLiver",
    "covid-blues": "usbench_tasks.datasets.covid_blues:CovidBlues",
    "echonet-dynamic": "usbench_tasks.datasets.echonet_dynamic:EchoNetDynamic",
    "eye-hemorrhage": "usbench_tasks.datasets.eye:EyeHemorrhage",
    "organs": "usbench_tasks.datasets.organs:Organs",
    "phantom-eye": "usbench_tasks.datasets.phantoms:PhantomEye",
    "phantom-heart": "usbench_tasks.datasets.phantoms:PhantomHeart",
    "phantom-liver": "usbench_tasks.datasets.phantoms:PhantomLiver",
    "phantom-lung": "usbench_tasks.datasets.phantoms:PhantomLung",
    "pretrain160": "usbench_tasks.datasets.organs:Pretrain160",
    "spinal-cord-injury": "usbench_tasks.datasets.spinal_cord_injury:SpinalCordInjury",
}
"""Dataset name to ``module:class``."""

TASKS = {
    "breast_lesion": "usbench_tasks.breast_lesion:task",
    "covid": "usbench_tasks.covid:task",
    "ejection_fraction": "usbench_tasks.ejection_fraction:task",
    "eye_hemorrhage": "usbench_tasks.eye_hemorrhage:task",
    "liver_steatosis": "usbench_tasks.liver_steatosis:task",
    "organ_map": "usbench_tasks.organ_map:task",
    "oxygen_saturation": "usbench_tasks.oxygen_saturation:task",
    "spinal_hematoma": "usbench_tasks.spinal_hematoma:task",
}
"""Task name to ``module:attribute``."""
