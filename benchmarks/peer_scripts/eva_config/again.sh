PYTHONPATH=. eva fit --config probe.yaml
