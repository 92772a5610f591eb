"""The bundled encoders.

``CATALOG`` maps each name to ``"module:class"``. A name that ends in a colon is a family, which receives
the rest of the name: ``timm:vit_small_patch16_224``. Importing this package imports none of the modules
behind it.
"""

CATALOG: dict[str, str] = {
    # Foundation models
    "medsam": "usbench_encoders.medsam:MedSAM",
    "tusa": "usbench_encoders.tusa:TusaEncoder",
    "ultrasam": "usbench_encoders.ultrasam:UltraSam",
    "usfm": "usbench_encoders.usfm:USFM",
    # Their architectures without training: floors
    "medsam.random": "usbench_encoders.medsam:MedSAMRandom",
    "tusa.random": "usbench_encoders.tusa:TusaRandom",
    "ultrasam.random": "usbench_encoders.ultrasam:UltraSamRandom",
    "usfm.random": "usbench_encoders.usfm:USFMRandom",
    # Floors without a network
    "pixels": "usbench_encoders.baselines:Pixels",
    "random-projection": "usbench_encoders.baselines:RandomProjection",
    "texture": "usbench_encoders.baselines:Texture",
    # Families: anybody else's models, and vectors made elsewhere
    "open_clip:": "usbench_encoders.open_clip:OpenClip",
    "precomputed:": "usbench_encoders.precomputed:Precomputed",
    "timm:": "usbench_encoders.timm:Timm",
    "torch:": "usbench_encoders.torch_module:TorchModule",
    "transformers:": "usbench_encoders.transformers:Transformers",
}
