"""Run a command on a Ray cluster of three nodes, all on this machine: a rehearsal for a real one.

    python recipes/three_nodes.py usbench sweep recipes/grid.toml --engine ray

``--address`` is added to the command. Each node offers one CPU unless ``CPUS_PER_NODE`` says otherwise. The tests run
this file; nothing of it is needed on a real cluster.
"""

from __future__ import annotations

import os
import subprocess
import sys

from ray.cluster_utils import Cluster


def main() -> int:
    """Start the nodes, run the command, stop the nodes; return the command's exit status."""
    cpus = int(os.environ.get("CPUS_PER_NODE", "1"))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=cpus)
        cluster.wait_for_nodes()
        return subprocess.run([*sys.argv[1:], "--address", cluster.address], check=False).returncode
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    raise SystemExit(main())
