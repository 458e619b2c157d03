"""What recording costs, side by side with the untraced run, strace and bear: called by `scripts/bench record`. Beside them
stands a preloaded library that does nothing: what that adds is the least that recording by one can cost on a machine.

Each figure is a median over rounds; a round runs every tracer once, one after the other, so that whatever else the machine
does hits all alike; every second round the other way round, so that nobody always comes after the slowest. Of the calls a
round is some tens of milliseconds only: the speed of a machine drifts within seconds by more than what is measured (seconds
apart, one and the same spawn was 98 to 117 us more). A daemon of its own, in private directories, is started before
anything is measured.
"""
import argparse
import os
import shutil
import statistics
import time

import bench

MICRO = os.path.join(bench.BUILD, "tests/bench/microbench")
EMPTY = os.path.join(bench.BUILD, "tests/bench/libempty_preload.so")

# name -> (folder of build/sources, command, bar as a ratio)
BUILDS = {
    "lua, make -j2": ("lua", ["make", "-s", "linux", "-j2"], 1.04),
    "zlib, configure + make": ("zlib", ["sh", "-c", "./configure && make -s"], 1.08),
}
# name -> (argument of microbench, bar as ns more)
CALLS = {
    "open + close": ("open", 1000),
    "stat": ("stat", 200),
    "write of a byte": ("write", 100),
    "vfork + exec of true": ("spawn", 100_000),
}
CALL_ROUNDS = 4  # For each round of the builds.


class Bench:
    def __init__(self, world, rounds):
        self.world = world
        self.rounds = rounds
        self.tracers = {"untraced": [], "ocp-watch": [bench.CLI, "record", "--"],
                        "empty library": ["env", f"LD_PRELOAD={EMPTY}"]}
        if shutil.which("strace"):
            self.tracers["strace"] = ["strace", "-f", "--seccomp-bpf", "-e", "trace=%file,%process", "-o",
                                      os.path.join(world.home, "strace.log"), "--"]
        if shutil.which("bear"):
            self.tracers["bear"] = ["bear", "--output", os.path.join(world.home, "bear.json"), "--"]

    def builds(self):
        rows = []
        for name, (source, argv, bar) in BUILDS.items():
            seconds = {tracer: [] for tracer in self.tracers}
            for round_number in range(self.rounds + 1):
                for tracer, prefix in list(self.tracers.items())[::1 if round_number % 2 else -1]:
                    tree = self.world.fresh_tree(source)
                    start = time.monotonic()
                    self.world.run(prefix + argv, cwd=tree)
                    # The first round warms the caches of the machine.
                    if round_number > 0:
                        seconds[tracer].append(time.monotonic() - start)
                bench.say(f"{name}: round {round_number} of {self.rounds}")
            cells = [f"{statistics.median(seconds['untraced']):.2f} s"]
            for tracer in list(self.tracers)[1:]:
                ratios = [a / b for a, b in zip(seconds[tracer], seconds["untraced"])]
                cells.append(f"x {statistics.median(ratios):.3f}")
            rows.append((name, *cells, f"x {bar:.2f}"))
        return rows

    def calls(self):
        rows = []
        for name, (what, bar) in CALLS.items():
            programs = {tracer: self.world.start([*prefix, MICRO, what]) for tracer, prefix in self.tracers.items()}
            costs = {tracer: [] for tracer in self.tracers}
            for round_number in range(self.rounds * CALL_ROUNDS + 1):
                for tracer, program in list(programs.items())[::1 if round_number % 2 else -1]:
                    cost = bench.ask(program)
                    if round_number > 0:
                        costs[tracer].append(float(cost))
            for program in programs.values():
                program.stdin.close()
                program.wait()
            bench.say(f"{name}: done")
            cells = [self.time(statistics.median(costs["untraced"]), "")]
            for tracer in list(self.tracers)[1:]:
                more = statistics.median(a - b for a, b in zip(costs[tracer], costs["untraced"]))
                cells.append(self.time(more, "+"))
            rows.append((name, *cells, self.time(bar, "+")))
        return rows

    @staticmethod
    def time(nanoseconds, sign):
        sign = "-" if nanoseconds < 0 else sign
        return f"{sign}{abs(nanoseconds) / 1000:.2f} us"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=["builds", "calls"])
    options = parser.parse_args()
    with bench.World() as world:
        runs = Bench(world, options.rounds)
        rows = []
        if options.only != "calls":
            rows += runs.builds()
        if options.only != "builds":
            rows += runs.calls()
        bench.print_table(("", *runs.tracers, "bar"), rows)


if __name__ == "__main__":
    main()
