"""What the benchmarks share: a world of their own (a daemon in private directories, started before anything is measured), and
tables."""
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build/release")
CLI = os.path.join(BUILD, "cli/ocp-watch")


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


def say(text):
    print(text, file=sys.stderr, flush=True)


def print_table(header, rows):
    rows = [header, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        print("  ".join(cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths))))
