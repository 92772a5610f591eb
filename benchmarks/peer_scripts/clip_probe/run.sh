python probe.py
