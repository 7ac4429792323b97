"""A cluster of real Ray nodes on this machine: prints its address, then does what it is told on standard input, until that closes: `two` (have two nodes
beside the head) or `kill` (the last one).

python tests/ray_cluster.py FOLDER
"""

import os
import sys

# no telemetry, localhost only, nothing outside the folder, no worker that starves on a busy machine; read when Ray is imported
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_TMPDIR": sys.argv[1], "RAY_worker_niceness": "0"}
from ray.cluster_utils import Cluster

if __name__ == "__main__":
    os.mkdir(f"{sys.argv[1]}/ray")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = []
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line == "kill\n":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        else:
            nodes += [cluster.add_node(num_cpus=1, include_dashboard=False) for _ in range(2 - len(nodes))]
        print("done", flush=True)
    cluster.shutdown()
