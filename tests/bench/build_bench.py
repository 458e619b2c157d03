"""What `ocp-watch build` costs and saves, side by side with plain make and with a warm ccache: called by `scripts/bench build`.

Three copies of a project take the same steps: a first build, the same again, after a touch of all sources, after `make
clean`, after an edit of one source, after the edit was taken back. Each cell is a median over rounds; in a round all three
take a step before any takes the next, some in turns of a fraction of a second. Each round begins with an empty store and an
empty ccache. Who goes first changes from round to round, so their number is even.
"""
import argparse
import glob
import json
import os
import shutil
import statistics
import subprocess
import time

import bench
import hits_bench
import soak_bench

# name: (folder of build/sources, build, clean, source to edit, bars by step). A bar is a ratio to plain make; of `again`,
# milliseconds.
LUA_BARS = {"first": 1.06, "again": 15, "clean": 0.02, "edit": 1.10}
PROJECTS = {
    "lua -j1": ("lua", "make -s linux -j1", "make -s clean", "src/lapi.c", LUA_BARS),
    "lua -j2": ("lua", "make -s linux -j2", "make -s clean", "src/lapi.c", LUA_BARS),
    "zlib": ("zlib", "./configure >/dev/null && make -s", "make -s distclean", "inflate.c",
             {"first": 1.10, "clean": 0.05, "edit": 1.10}),
    "redis": ("redis", "make -s MALLOC=libc -j2", "make -s distclean", "src/t_zset.c",
              {"first": 1.15, "clean": 0.03, "edit": 1.10}),
}
STEPS = ["first", "again", "touch", "clean", "clean again", "edit", "revert"]
# A clean may leave what was not there before the first build, as that of redis does: what reads the directory runs once.
ONLY_OURS = ["clean again"]
WAYS = ["make", "ccache", "ocp-watch"]
# What is compared by hundredths. Each clean has to be followed by its own build: see SETTLE.
IN_TURNS = ["first", "edit"]
# Seconds. For five, ext4 does not give away the inodes of removed files, and searches past them for others: nobody's first
# build follows the removal of three trees and a store at once.
SETTLE = 6
# Of what takes some milliseconds, so many one after another: their median.
REPEATED = {"again": 5}
# Edits in each round, where one takes half a second; elsewhere one.
EDITS = {"lua -j1": 5, "lua -j2": 5}
# Rounds for each that is asked for, where a round is short.
ROUNDS = {"lua -j1": 3, "lua -j2": 2, "zlib": 2, "hits": 5}
OTHERS = {"hits": hits_bench.measure, "soak": soak_bench.measure}


class Bench:
    def __init__(self, world, name, number):
        source, self.build, self.clean, self.edited, _ = PROJECTS[name]
        self.world = world
        self.daemon = world.daemon()
        self.number = number
        self.edits = 0
        self.trees = {way: os.path.join(world.home, f"{place}-tree") for way, place in zip(WAYS, "abc")}
        for tree in self.trees.values():
            shutil.rmtree(tree, ignore_errors=True)
            shutil.copytree(os.path.join(bench.ROOT, "build/sources", source), tree, symlinks=True)
        with open(os.path.join(self.trees["make"], self.edited), encoding="latin-1") as file:
            self.original = file.read()
        self.ccache = {"CCACHE_DIR": os.path.join(world.home, "ccache"), "PATH": "/usr/lib/ccache:" + world.env["PATH"]}
        shutil.rmtree(self.ccache["CCACHE_DIR"], ignore_errors=True)
        world.run([bench.CLI, "clear", "--yes"])
        time.sleep(SETTLE)

    def prepare(self, step, tree):
        if step.startswith("clean"):
            subprocess.run(["sh", "-c", self.clean], cwd=tree, env=self.world.env, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=True)
        elif step == "edit":
            self.write(tree, self.original + f"\nint ocp_watch_bench_{self.number}_{self.edits};\n")
        elif step == "revert":
            self.write(tree, self.original)
        elif step == "touch":
            for path in glob.glob(os.path.join(tree, "**/*.[ch]"), recursive=True):
                os.utime(path)

    def write(self, tree, content):
        with open(os.path.join(tree, self.edited), "w", encoding="latin-1") as file:
            file.write(content)

    def seconds(self, ways):
        """What each takes, in turns."""
        return bench.take_turns([self.run(way) for way in ways])

    def run(self, way):
        ours = way == "ocp-watch"
        env = dict(self.world.env)
        if way == "ccache":
            env.update(self.ccache)
            del env["CCACHE_DISABLE"]
        prefix = [bench.CLI, "build", "--"] if ours else []
        return bench.Run([*prefix, "sh", "-c", self.build], self.trees[way], env, self.daemon if ours else None)

    def ran(self):
        rows = json.loads(self.world.run([bench.CLI, "explain", "--json"])).get("commands", [])
        return sum(row["outcome"] != "reused" for row in rows)


def measure(world, name, rounds):
    taken = {(step, way): [] for step in STEPS for way in WAYS}
    ran = {step: [] for step in STEPS}
    for number in range(rounds):
        runs = Bench(world, name, number)
        for step in [each for each in STEPS for _ in range(EDITS.get(name, 1) if each == "edit" else 1)]:
            ways = ["ocp-watch"] if step in ONLY_OURS else WAYS
            runs.edits += step == "edit"
            # There and back, for a machine that gets slower or faster meanwhile.
            ways = ways if (number + runs.edits) % 2 == 0 else ways[::-1]
            for together in [ways] if step in IN_TURNS else [[way] for way in ways]:
                for way in together:
                    runs.prepare(step, runs.trees[way])
                time.sleep(0.05)  # What is newer than a build must be so for make, too.
                for way, *seconds in zip(together, *(runs.seconds(together) for _ in range(REPEATED.get(step, 1)))):
                    taken[step, way].append(statistics.median(seconds))
            ran[step].append(runs.ran())
        bench.say(f"{name}: round {number + 1} of {rounds}")
    bars = PROJECTS[name][4]
    rows = []
    for step in STEPS:
        plain = taken["clean" if step in ONLY_OURS else step, "make"]
        ratio = statistics.median(a / b for a, b in zip(taken[step, "ocp-watch"], plain))
        cells = [f"{1000 * statistics.median(taken[step, way]):.0f} ms" if taken[step, way] else "" for way in WAYS]
        bar = bars.get("clean" if step.startswith("clean") else step)
        rows.append((f"{name}, {step}", *cells, f"x {ratio:.3f}", "" if bar is None else f"{bar} ms" if bar > 2 else f"x {bar}",
                     f"{statistics.median(ran[step]):.0f}"))
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=4, help="an odd number is rounded up")
    parser.add_argument("--only", choices=[*PROJECTS, *OTHERS], action="append")
    options = parser.parse_args()
    rounds = options.rounds + options.rounds % 2
    with bench.World() as world:
        wanted = options.only or [*PROJECTS, *OTHERS]
        for name in [name for name in OTHERS if name in wanted]:
            bench.print_table(("", "untraced", "ocp-watch", "ratio", "bar"), OTHERS[name](world, rounds * ROUNDS.get(name, 1)))
        rows = []
        for name in [name for name in PROJECTS if name in wanted]:
            rows += measure(world, name, rounds * ROUNDS.get(name, 1))
        if rows:
            bench.print_table(("", *WAYS, "ratio", "bar", "commands run"), rows)


if __name__ == "__main__":
    main()
