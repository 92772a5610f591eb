export THUNDER_BASE_DATA_FOLDER="$OUT" WANDB_MODE=offline
python dataset.py
thunder benchmark custom:encoder.py custom:$OUT/busbra.yaml pre_computing_embeddings
thunder benchmark custom:encoder.py custom:$OUT/busbra.yaml linear_probing --loading-mode embedding_pre_loading \
  --adaptation.num_workers 0 --adaptation.epochs 50
