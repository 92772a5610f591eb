usbench run -e timm:vit_small_patch16_224,mean=half,fit=squash,resampling=bilinear --weights "$WEIGHTS" --fresh \
  --task split.toml --data "$IMAGES/manifest.csv" --results "$OUT/results" --cache "$OUT/cache" --device cpu
