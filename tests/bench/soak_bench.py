"""What a hundred builds leave behind: the daemon's memory, and the store before and after `gc`. Called by build_bench.py."""
import json
import os
import subprocess

import bench

BUILDS = 100
SOURCES = 20
LIMIT = "1M"


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024


def measure(world, _rounds):
    folder = os.path.join(world.home, "soak")
    os.makedirs(folder)
    names = [f"s{number}" for number in range(SOURCES)]

    def write(name, text):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)

    objects = " ".join(f"{name}.o" for name in names)
    write("Makefile", f"prog: {objects}\n\tgcc -shared -o $@ {objects}\n%.o: %.c\n\tgcc -c -fPIC $<\n")
    for name in names:
        write(f"{name}.c", f"int {name}(void) {{ return 0; }}\n")
    pid = world.daemon()
    memory = {}
    for number in range(1, BUILDS + 1):
        name = names[number % SOURCES]
        write(f"{name}.c", f"#include <stdio.h>\nint {name}(void) {{ return {number}; }}\n")
        subprocess.run([bench.CLI, "build", "--", "make", "-s", "-j2"], cwd=folder, env=world.env, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if number in (1, BUILDS // 10, BUILDS // 2, BUILDS):
            memory[number] = resident_mib(pid)
    stored = lambda: json.loads(world.run([bench.CLI, "stats", "--json"]))
    before = stored()
    world.run([bench.CLI, "gc", "--max-size", LIMIT])
    after = stored()
    size = lambda stats: f"{(int(stats.get('blob_bytes', 0)) + int(stats.get('record_bytes', 0))) / 2**20:.2f} MiB"
    return [(f"memory after {number} builds", "", f"{mib:.1f} MiB", "", "") for number, mib in memory.items()] + [
        ("store", "", size(before), "", ""),
        (f"store after gc to {LIMIT}", "", size(after), "", LIMIT),
    ]
