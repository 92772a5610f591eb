"""The bundled encoders.

``CATALOG`` maps each name to ``"module:class"``. A name that ends in a colon is a family, which receives
the rest of the name: ``timm:vit_small_patch16_224``. Importing this package imports none of the modules
behind it.
"""

CATALOG: dict[str, str] = {
    # Foundation models
    "medsam": "usbench_encoders.medsam:MedSAM",
    "tusa": "usbench_encoders.tusa:TusaEncoder",
    "tusa.open-v1": "usbench_encoders.tusa:TusaOpenV1",
    "tusa.scratch": "usbench_encoders.tusa:TusaScratch",
    "ultrasam": "usbench_encoders.ultrasam:UltraSam",
    "usfm": "usbench_encoders.usfm:USFM",
    # Networks that have never seen ultrasound: references by name
    "astra": "usbench_encoders.references:Astra",
    "efficientnet-lite0": "usbench_encoders.references:EfficientNetLite0",
    "efficientnet-lite1": "usbench_encoders.references:EfficientNetLite1",
    "efficientnet-lite2": "usbench_encoders.references:EfficientNetLite2",
    "mobilenetv2": "usbench_encoders.references:MobileNetV2",
    "sscd": "usbench_encoders.sscd:Sscd",
    "sscd-mobile": "usbench_encoders.sscd:SscdMobile",
    # Their architectures without training: floors
    "efficientnet-lite0.random": "usbench_encoders.references:EfficientNetLite0Random",
    "efficientnet-lite1.random": "usbench_encoders.references:EfficientNetLite1Random",
    "efficientnet-lite2.random": "usbench_encoders.references:EfficientNetLite2Random",
    "medsam.random": "usbench_encoders.medsam:MedSAMRandom",
    "mobilenetv2.random": "usbench_encoders.references:MobileNetV2Random",
    "sscd.random": "usbench_encoders.sscd:SscdRandom",
    "tusa.random": "usbench_encoders.tusa:TusaRandom",
    "ultrasam.random": "usbench_encoders.ultrasam:UltraSamRandom",
    "usfm.random": "usbench_encoders.usfm:USFMRandom",
    # Floors without a network
    "pixels": "usbench_encoders.baselines:Pixels",
    "random-projection": "usbench_encoders.baselines:RandomProjection",
    "texture": "usbench_encoders.baselines:Texture",
    # Families: anybody else's models, and vectors made elsewhere
    "onnx:": "usbench_encoders.onnx:Onnx",
    "open_clip:": "usbench_encoders.open_clip:OpenClip",
    "precomputed:": "usbench_encoders.precomputed:Precomputed",
    "timm:": "usbench_encoders.timm:Timm",
    "torch:": "usbench_encoders.torch_module:TorchModule",
    "transformers:": "usbench_encoders.transformers:Transformers",
}
