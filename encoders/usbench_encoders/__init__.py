"""The bundled encoders.

``CATALOG`` maps each name to ``"module:class"``. A name that ends in a colon is a family, which receives
the rest of the name: ``timm:vit_small_patch16_224``. Importing this package imports none of the modules
behind it.
"""

CATALOG: dict[str, str] = {
    # Foundation models
    "biomedclip": "usbench_encoders.clip_towers:BiomedClip",
    "echocare": "usbench_encoders.echocare:EchoCare",
    "echoclip": "usbench_encoders.clip_towers:EchoClip",
    "fetalclip": "usbench_encoders.clip_towers:FetalClip",
    "medsam": "usbench_encoders.medsam:MedSAM",
    "panecho": "usbench_encoders.panecho:PanEcho",
    "samus": "usbench_encoders.samus:Samus",
    "tinyusfm": "usbench_encoders.mae:TinyUsfm",
    "tusa": "usbench_encoders.tusa:TusaEncoder",
    "tusa.open-v1": "usbench_encoders.tusa:TusaOpenV1",
    "tusa.scratch": "usbench_encoders.tusa:TusaScratch",
    "ultrafedfm": "usbench_encoders.mae:UltraFedFM",
    "ultrasam": "usbench_encoders.ultrasam:UltraSam",
    "urfm": "usbench_encoders.mae:Urfm",
    "urfm-large": "usbench_encoders.mae:UrfmLarge",
    "usf-mae": "usbench_encoders.mae:UsfMae",
    "usfm": "usbench_encoders.usfm:USFM",
    # Networks that have never seen ultrasound: references by name
    "astra": "usbench_encoders.references:Astra",
    "efficientnet-lite0": "usbench_encoders.references:EfficientNetLite0",
    "efficientnet-lite1": "usbench_encoders.references:EfficientNetLite1",
    "efficientnet-lite2": "usbench_encoders.references:EfficientNetLite2",
    "mobilenetv2": "usbench_encoders.references:MobileNetV2",
    "sscd": "usbench_encoders.sscd:Sscd",
    "sscd-mobile": "usbench_encoders.sscd:SscdMobile",
    # Their architectures without training: baselines
    "biomedclip.random": "usbench_encoders.clip_towers:BiomedClipRandom",
    "echocare.random": "usbench_encoders.echocare:EchoCareRandom",
    "echoclip.random": "usbench_encoders.clip_towers:EchoClipRandom",
    "efficientnet-lite0.random": "usbench_encoders.references:EfficientNetLite0Random",
    "efficientnet-lite1.random": "usbench_encoders.references:EfficientNetLite1Random",
    "efficientnet-lite2.random": "usbench_encoders.references:EfficientNetLite2Random",
    "fetalclip.random": "usbench_encoders.clip_towers:FetalClipRandom",
    "medsam.random": "usbench_encoders.medsam:MedSAMRandom",
    "mobilenetv2.random": "usbench_encoders.references:MobileNetV2Random",
    "panecho.random": "usbench_encoders.panecho:PanEchoRandom",
    "samus.random": "usbench_encoders.samus:SamusRandom",
    "sscd.random": "usbench_encoders.sscd:SscdRandom",
    "tinyusfm.random": "usbench_encoders.mae:TinyUsfmRandom",
    "tusa.random": "usbench_encoders.tusa:TusaRandom",
    "ultrafedfm.random": "usbench_encoders.mae:UltraFedFMRandom",
    "ultrasam.random": "usbench_encoders.ultrasam:UltraSamRandom",
    "urfm-large.random": "usbench_encoders.mae:UrfmLargeRandom",
    "urfm.random": "usbench_encoders.mae:UrfmRandom",
    "usf-mae.random": "usbench_encoders.mae:UsfMaeRandom",
    "usfm.random": "usbench_encoders.usfm:USFMRandom",
    # Baselines without a network
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
