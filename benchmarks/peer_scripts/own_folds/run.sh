usbench run -e timm:vit_small_patch16_224,mean=half,fit=squash,resampling=bilinear --weights "$WEIGHTS" \
  -t breast_lesion --data-root "$IMAGES" --results "$OUT/results" --cache "$OUT/cache" --device cpu
