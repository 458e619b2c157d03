"""What the benchmarks share: a world of their own (a daemon in private directories, started before anything is measured), and
tables."""
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build/release")
CLI = os.path.join(BUILD, "cli/ocp-watch")
# Seconds. A machine that shares its processor gets faster or slower by a third for some seconds; what is measured of builds
# that take as long is some hundredths. So they take turns of this length. Ratio of a traced to a plain first build of lua,
# one after the other: standard deviation 0.12 (12 pairs); of two plain ones, in turns: 0.013 (8 pairs).
TURN = 0.15


class World:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="ocpb.", dir="/tmp")
        self.tree = os.path.join(self.home, "tree")
        os.mkdir(os.path.join(self.home, "run"), 0o700)
        unwanted = ("LD_PRELOAD", "OCP_WATCH", "OCP_WATCHD", "MAKEFLAGS")
        self.env = {name: value for name, value in os.environ.items() if name not in unwanted}
        self.env.update(XDG_RUNTIME_DIR=os.path.join(self.home, "run"), XDG_STATE_HOME=os.path.join(self.home, "state"),
                        XDG_CONFIG_HOME=os.path.join(self.home, "config"), CCACHE_DISABLE="1")

    def __enter__(self):
        self.run([CLI, "start"])
        return self

    def __exit__(self, *_):
        subprocess.run([CLI, "stop"], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, argv, cwd=None, **variables):
        """Its standard output; a failure ends the benchmark."""
        result = subprocess.run(argv, cwd=cwd, env={**self.env, **variables}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if result.returncode != 0:
            sys.exit(f"{' '.join(argv)}: status {result.returncode}\n{result.stderr.decode(errors='replace')[-2000:]}")
        return result.stdout

    def daemon(self):
        return json.loads(self.run([CLI, "status", "--json"]))["pid"]

    def start(self, argv):
        """A program that answers lines with lines: see ask()."""
        return subprocess.Popen(argv, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def fresh_tree(self, source):
        """A copy of build/sources/`source`; its path."""
        shutil.rmtree(self.tree, ignore_errors=True)
        shutil.copytree(os.path.join(ROOT, "build/sources", source), self.tree, symlinks=True)
        return self.tree


def ask(program):
    """Has a program do its work once; its answer. A failure ends the benchmark."""
    program.stdin.write(b"\n")
    program.stdin.flush()
    answer = program.stdout.readline()
    if not answer:
        sys.exit(f"{' '.join(program.args)}: ended early, with status {program.wait()}")
    return answer


class Run:
    """A program that stands still while others have their turn, and with it `daemon`, a pid, if it works for it."""

    def __init__(self, argv, cwd, env, daemon=None):
        self.argv, self.cwd, self.env, self.daemon = argv, cwd, env, daemon
        self.process = self.ended = None
        self.seconds = 0

    def take_turn(self, length):
        """True: it has ended. `length`: seconds; None: until it has."""
        start = time.monotonic()
        if self.process is None:
            self.process = subprocess.Popen(self.argv, cwd=self.cwd, env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
            self.ended = os.pidfd_open(self.process.pid)
        else:
            os.killpg(self.process.pid, signal.SIGCONT)
            if self.daemon:
                os.kill(self.daemon, signal.SIGCONT)
        ready, _, _ = select.select([self.ended], [], [], length)
        self.seconds += time.monotonic() - start
        if not ready:
            if self.daemon:
                os.kill(self.daemon, signal.SIGSTOP)
            os.killpg(self.process.pid, signal.SIGSTOP)
            return False
        os.close(self.ended)
        if self.process.wait() != 0:
            sys.exit(f"{' '.join(self.argv)}: status {self.process.returncode}")
        return True

    def give_up(self):
        if self.process is None or self.process.returncode is not None:
            return
        if self.daemon:
            os.kill(self.daemon, signal.SIGCONT)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def take_turns(runs):
    """The seconds that each of the runs takes. A failure ends the benchmark."""
    left = list(runs)
    try:
        while left:
            length = TURN if len(left) > 1 else None
            left = [run for run in left if not run.take_turn(length)]
    finally:
        for run in runs:
            run.give_up()
    return [run.seconds for run in runs]


def say(text):
    print(text, file=sys.stderr, flush=True)


def print_table(header, rows):
    rows = [header, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        print("  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths))))
