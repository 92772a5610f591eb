python on_cpu.py
