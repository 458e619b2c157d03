"""What it costs to reuse a command below one that must itself run: called by build_bench.py.

A shell runs the same small command many times; each time the shell has another argument, so that it runs, and the commands
below it are reused. The untraced run of the same, and a loop that only forks, stand beside it.
"""
import os
import statistics
import subprocess
import time

import bench

TRUES = 500
READS = 200
LOOP = "i=0; while [ $i -lt %d ]; do %s; i=$((i+1)); done"


class Hits:
    def __init__(self, world):
        self.world = world
        self.number = 0
        self.folder = os.path.join(world.home, "hits")
        os.makedirs(self.folder, exist_ok=True)
        # With the loader, libc and cat itself some fifty observations.
        self.files = [f"f{number}" for number in range(45)]
        for name in self.files:
            with open(os.path.join(self.folder, name), "w", encoding="ascii") as file:
                file.write(name)

    def seconds(self, script, traced):
        self.number += 1
        prefix = [bench.CLI, "build", "--"] if traced else []
        start = time.monotonic()
        subprocess.run([*prefix, "sh", "-c", script, f"run{self.number}"], cwd=self.folder, env=self.world.env, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.monotonic() - start


def measure(world, rounds):
    hits = Hits(world)
    trues = LOOP % (TRUES, "/bin/true")
    reads = LOOP % (READS, "/bin/cat " + " ".join(hits.files))
    forks = LOOP % (READS, "(:)")
    taken = {}
    for number in range(rounds + 1):
        for name, script, traced in (("true", trues, False), ("true hit", trues, True), ("fork", forks, True),
                                     ("reads", reads, False), ("reads hit", reads, True)):
            # The first learns.
            if number > 0:
                taken.setdefault(name, []).append(hits.seconds(script, traced))
            else:
                hits.seconds(script, traced)
    median = {name: 1000 * statistics.median(values) for name, values in taken.items()}
    added = statistics.median(1e6 * (hit - fork) / READS for hit, fork in zip(taken["reads hit"], taken["fork"]))
    return [
        (f"{TRUES} x /bin/true below a shell", f"{median['true']:.0f} ms", f"{median['true hit']:.0f} ms",
         f"x {median['true hit'] / median['true']:.3f}", "x 1"),
        (f"{READS} x cat of 45 files", f"{median['reads']:.0f} ms", f"{median['reads hit']:.0f} ms",
         f"x {median['reads hit'] / median['reads']:.3f}", ""),
        ("one of these, over a fork", "", f"{added:.0f} us", "", "300 us"),
    ]
