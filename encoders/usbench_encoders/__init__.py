"""The bundled encoders.

``CATALOG`` maps each name to ``"module:class"``. A name that ends in a colon is a family, which receives
the rest of the name: ``timm:vit_small_patch16_224``. Importing this package imports none of the modules
behind it.
"""

CATALOG: dict[str, str] = {
    # Foundation models
    "tusa": "usbench_encoders.tusa:TusaEncoder",
    # Their architectures without training: floors
    "tusa.random": "usbench_encoders.tusa:TusaRandom",
    # Floors without a network
    "pixels": "usbench_encoders.baselines:Pixels",
    "random-projection": "usbench_encoders.baselines:RandomProjection",
    "texture": "usbench_encoders.baselines:Texture",
}
