"""What recording costs, side by side with the untraced run, strace and bear: called by `scripts/bench record`.

Each ratio is a median over rounds; a round runs every tracer once, one after the other, so that whatever else the machine
does hits all alike. A daemon of its own, in private directories, is started before anything is measured.
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build/release")
CLI = os.path.join(BUILD, "cli/ocp-watch")
MICRO = os.path.join(BUILD, "tests/bench/microbench")

# name -> (folder of build/sources, command, bar as a ratio)
BUILDS = {
    "lua, make -j2": ("lua", ["make", "-s", "linux", "-j2"], 1.04),
    "zlib, configure + make": ("zlib", ["sh", "-c", "./configure && make -s"], 1.08),
}
# name -> (argument of microbench, calls are divided by this under strace, bar as ns more)
CALLS = {
    "open + close": ("open", 50, 1000),
    "stat": ("stat", 50, 200),
    "write of a byte": ("write", 1, 100),
    "vfork + exec of true": ("spawn", 1, 100_000),
}


class Bench:
    def __init__(self, rounds):
        self.rounds = rounds
        self.home = tempfile.mkdtemp(prefix="ocpb.", dir="/tmp")
        os.mkdir(os.path.join(self.home, "run"), 0o700)
        self.env = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "OCP_WATCH", "MAKEFLAGS")}
        self.env.update(XDG_RUNTIME_DIR=os.path.join(self.home, "run"), XDG_STATE_HOME=os.path.join(self.home, "state"),
                        XDG_CONFIG_HOME=os.path.join(self.home, "config"), CCACHE_DISABLE="1")
        self.tracers = {"untraced": [], "ocp-watch": [CLI, "record", "--"]}
        log = os.path.join(self.home, "strace.log")
        if shutil.which("strace"):
            self.tracers["strace"] = ["strace", "-f", "--seccomp-bpf", "-e", "trace=%file,%process", "-o", log, "--"]
        if shutil.which("bear"):
            self.tracers["bear"] = ["bear", "--output", os.path.join(self.home, "bear.json"), "--"]

    def run(self, argv, cwd=None):
        result = subprocess.run(argv, cwd=cwd, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)
        if result.returncode != 0:
            sys.exit(f"{' '.join(argv)}: status {result.returncode}")
        return result.stdout

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def builds(self):
        rows = []
        for name, (source, argv, bar) in BUILDS.items():
            seconds = {tracer: [] for tracer in self.tracers}
            for round_number in range(self.rounds + 1):
                for tracer, prefix in self.tracers.items():
                    tree = os.path.join(self.home, "tree")
                    shutil.rmtree(tree, ignore_errors=True)
                    shutil.copytree(os.path.join(ROOT, "build/sources", source), tree, symlinks=True)
                    start = time.monotonic()
                    self.run(prefix + argv, cwd=tree)
                    # The first round warms the caches of the machine.
                    if round_number > 0:
                        seconds[tracer].append(time.monotonic() - start)
                self.say(f"{name}: round {round_number} of {self.rounds}")
            cells = [f"{statistics.median(seconds['untraced']):.2f} s"]
            for tracer in list(self.tracers)[1:]:
                ratios = [a / b for a, b in zip(seconds[tracer], seconds["untraced"])]
                cells.append(f"x {statistics.median(ratios):.3f}")
            rows.append((name, cells, f"x {bar:.2f}"))
        return rows

    def calls(self):
        rows = []
        for name, (what, divisor, bar) in CALLS.items():
            costs = {tracer: [] for tracer in self.tracers}
            for _ in range(self.rounds):
                for tracer, prefix in self.tracers.items():
                    argv = [MICRO, what, str(divisor if tracer == "strace" else 1)]
                    costs[tracer].append(float(self.run(prefix + argv).split()[-1]))
            self.say(f"{name}: done")
            cells = [self.time(statistics.median(costs["untraced"]), "")]
            for tracer in list(self.tracers)[1:]:
                more = statistics.median(a - b for a, b in zip(costs[tracer], costs["untraced"]))
                cells.append(self.time(more, "+"))
            rows.append((name, cells, self.time(bar, "+")))
        return rows

    @staticmethod
    def time(nanoseconds, sign):
        sign = "-" if nanoseconds < 0 else sign
        return f"{sign}{abs(nanoseconds) / 1000:.2f} us"

    def close(self):
        subprocess.run([CLI, "stop"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.home, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=["builds", "calls"])
    options = parser.parse_args()
    bench = Bench(options.rounds)
    try:
        bench.run([CLI, "start"])
        rows = []
        if options.only != "calls":
            rows += bench.builds()
        if options.only != "builds":
            rows += bench.calls()
        header = ("", list(bench.tracers), "bar")
        widths = [max(len(row[0]) for row in rows)] + [14] * len(bench.tracers) + [10]
        for name, cells, bar in [header, *rows]:
            print("  ".join(cell.rjust(width) if i else cell.ljust(width)
                            for i, (cell, width) in enumerate(zip([name, *cells, bar], widths))))
    finally:
        bench.close()


if __name__ == "__main__":
    main()
