"""Bundled tasks and dataset readers: names only, so that listing them imports nothing."""

DATASETS = {
    "breast-lesions-usg": "usbench_tasks.datasets.breast_lesions_usg:BreastLesionsUsg",
    "breast-lesions-usg-embedded": "usbench_tasks.datasets.breast_lesions_usg:BreastLesionsUsgEmbedded",
    "bus-bra": "usbench_tasks.datasets.bus_bra:BusBra",
    "bus-bra-subset": "usbench_tasks.datasets.bus_bra:BusBraSubset",
    "byra-liver": "usbench_tasks.datasets.byra_liver:ByraLiver",
    "camus": "usbench_tasks.datasets.camus:Camus",
    "covid-blues": "usbench_tasks.datasets.covid_blues:CovidBlues",
    "echonet-dynamic": "usbench_tasks.datasets.echonet_dynamic:EchoNetDynamic",
    "eye-hemorrhage": "usbench_tasks.datasets.eye:EyeHemorrhage",
    "organs": "usbench_tasks.datasets.organs:Organs",
    "phantom-eye": "usbench_tasks.datasets.phantoms:PhantomEye",
    "phantom-heart": "usbench_tasks.datasets.phantoms:PhantomHeart",
    "phantom-liver": "usbench_tasks.datasets.phantoms:PhantomLiver",
    "phantom-lung": "usbench_tasks.datasets.phantoms:PhantomLung",
    "pretrain160": "usbench_tasks.datasets.organs:Pretrain160",
    "sgus": "usbench_tasks.datasets.salivary_glands:SalivaryGlands",
    "spinal-cord-injury": "usbench_tasks.datasets.spinal_cord_injury:SpinalCordInjury",
}
"""Dataset name to ``module:class``."""

TASKS = {
    "breast_lesion": "usbench_tasks:definitions/breast_lesion.toml",
    "breast_lesion_patient": "usbench_tasks:definitions/breast_lesion_patient.toml",
    "breast_lesion_scanner": "usbench_tasks:definitions/breast_lesion_scanner.toml",
    "breast_transfer": "usbench_tasks:definitions/breast_transfer.toml",
    "breast_transfer_back": "usbench_tasks:definitions/breast_transfer_back.toml",
    "camus_ejection_fraction": "usbench_tasks:definitions/camus_ejection_fraction.toml",
    "camus_ejection_fraction_folds": "usbench_tasks:definitions/camus_ejection_fraction_folds.toml",
    "camus_phase": "usbench_tasks:definitions/camus_phase.toml",
    "camus_view": "usbench_tasks:definitions/camus_view.toml",
    "covid": "usbench_tasks:definitions/covid.toml",
    "ejection_fraction": "usbench_tasks:definitions/ejection_fraction.toml",
    "eye_hemorrhage": "usbench_tasks:definitions/eye_hemorrhage.toml",
    "liver_steatosis": "usbench_tasks:definitions/liver_steatosis.toml",
    "organ_map": "usbench_tasks:definitions/organ_map.toml",
    "oxygen_saturation": "usbench_tasks:definitions/oxygen_saturation.toml",
    "salivary_gland": "usbench_tasks:definitions/salivary_gland.toml",
    "salivary_gland_centre": "usbench_tasks:definitions/salivary_gland_centre.toml",
    "spinal_hematoma": "usbench_tasks:definitions/spinal_hematoma.toml",
}
"""Task name to ``module:file``, a declaration inside the package."""
