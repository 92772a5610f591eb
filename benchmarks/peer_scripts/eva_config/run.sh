PYTHONPATH=. eva predict_fit --config probe.yaml
