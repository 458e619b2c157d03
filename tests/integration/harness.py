"""What every suite stands on: a private world of ocp-watch, and runs in it that are compared with untraced ones.

A suite's tests derive from `TestCase`. The class has one `World`: its own runtime, state and configuration directories
under /tmp, so that suites can run side by side and beside the user's own daemon. At its end the daemon is stopped, and
no process that was started in it may remain. The binaries are those of $OCPWATCH_BUILD (default: build/release).
"""
import contextlib
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("OCPWATCH_BUILD", os.path.join(ROOT, "build/release")))
CLI = os.path.join(BUILD, "cli/ocp-watch")
WATCHD = os.path.join(BUILD, "daemon/watchd")
PRELOAD = os.path.join(BUILD, "preload/libocpwatch-preload.so")
SANITIZED = os.environ.get("OCPWATCH_SANITIZED", "") != ""  # Times mean nothing then.
HELLO = os.path.join(ROOT, "tests/programs/hello")
TIMEOUT = 300  # Seconds; for one program. Only a hang takes so long.


def program(name):
    """The path of one of tests/programs."""
    return os.path.join(BUILD, "tests/programs", name)


SAY = program("say")


def unescape(text):
    r"""The bytes of a path or argument in JSON: \xHH is a byte that is not UTF-8, \\ a backslash."""
    pieces = re.split(r"(\\x[0-9a-fA-F]{2}|\\\\)", text)
    return b"".join(
        b"\\" if piece == "\\\\" else bytes([int(piece[2:], 16)]) if piece.startswith("\\x") else piece.encode()
        for piece in pieces
    )


def snapshot(directory):
    """Everything below a directory: path -> (type, permissions, content or target)."""
    found = {}
    top = os.fsencode(directory)
    for folder, directories, files in os.walk(top):
        for name in directories + files:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            kind = stat.S_IFMT(status.st_mode)
            content = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode) and os.access(path, os.R_OK):
                with open(path, "rb") as file:
                    content = file.read()
            found[os.path.relpath(path, top)] = (kind, stat.S_IMODE(status.st_mode), content)
    return found


def wait_until(condition, seconds=60):
    """Polls; the condition's value, once it is true."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.02)


class Result:
    """How a program ended."""

    def __init__(self, completed):
        self.status = completed.returncode
        self.stdout = completed.stdout
        self.stderr = completed.stderr

    def __repr__(self):
        return f"status {self.status}\nstdout: {self.stdout[-2000:]!r}\nstderr: {self.stderr[-2000:]!r}"


class Recording(Result):
    """How a traced program ended, and what was recorded of it."""

    def __init__(self, completed, document):
        super().__init__(completed)
        self.document = document
        self.session = document["session"]
        self.commands = document["commands"]
        self.files = {file["path"]: file for file in document["files"]}

    def named(self, *argv):
        """Commands whose argv is, or begins with, argv."""
        return [command for command in self.commands if command["argv"][: len(argv)] == list(argv)]

    def uses(self, kind, under=""):
        """All paths that any command used so: reads, writes, missing, listed, removed, checked."""
        return {path for command in self.commands for path in command[kind] if path.startswith(under)}

    def status_of(self, command):
        """"exit 3", "signal 9", "replaced", "unknown" or "running"."""
        if "exit_status" in command:
            return f"exit {command['exit_status']}"
        if "signal" in command:
            return f"signal {command['signal']}"
        return next((word for word in ("replaced", "unknown", "running") if command.get(word)), "nothing")


class World:
    """Private directories for one daemon, which `ocp-watch` starts by itself."""

    def __init__(self, user=None):
        """`user`: the uid that everything in it runs as, instead of ours; needs root."""
        self.prefix = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]
        # Short: a socket's path has at most 107 bytes.
        self.home = tempfile.mkdtemp(prefix="ocpw.", dir="/tmp")
        self.runtime = os.path.join(self.home, "run")
        self.state = os.path.join(self.home, "state")
        os.mkdir(self.runtime, 0o700)
        if user is not None:
            for path in (self.home, self.runtime):
                os.chown(path, user, user)
        self.env = {
            name: value
            for name, value in os.environ.items()
            if name not in ("LD_PRELOAD", "OCP_WATCH", "NO_COLOR", "PAGER", "MAKEFLAGS", "MAKELEVEL")
            and not name.startswith("PYTHON")
        }
        self.env.update(
            XDG_RUNTIME_DIR=self.runtime,
            XDG_STATE_HOME=self.state,
            XDG_CONFIG_HOME=os.path.join(self.home, "config"),
            OCP_WATCHD=WATCHD,
            LC_ALL="C.UTF-8",
        )
        if SANITIZED:
            # watchd's standard streams lead nowhere.
            log = f"log_path={self.home}/sanitizer"
            self.env.update(ASAN_OPTIONS=log, UBSAN_OPTIONS="print_stacktrace=1:" + log,
                            TSAN_OPTIONS=f"{log}:history_size=7:suppressions={ROOT}/tests/tsan.supp")
        self._names = 0

    # ---- Running things. ----

    def run(self, argv, cwd=None, env=None, stdin=subprocess.DEVNULL, timeout=TIMEOUT, **options):
        """Any program, in this world's environment."""
        return Result(
            subprocess.run(
                [*self.prefix, *argv],
                cwd=cwd,
                env=self.env if env is None else env,
                stdin=stdin if not isinstance(stdin, bytes) else None,
                input=stdin if isinstance(stdin, bytes) else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=timeout,
                **options,
            )
        )

    def may_use_binaries(self):
        """False where the build tree is closed to this world's user."""
        return self.run(["/bin/sh", "-c", f"test -x {CLI} && test -x {WATCHD} && test -r {PRELOAD}"]).status == 0

    def cli(self, *arguments, check=True, **options):
        """`ocp-watch` with arguments; its standard output as bytes."""
        result = self.run([CLI, *arguments], **options)
        if check and result.status != 0:
            raise AssertionError(f"ocp-watch {' '.join(map(str, arguments))}: {result}")
        return result.stdout

    def new_name(self):
        self._names += 1
        return f"test-{os.getpid()}-{self._names}"

    def record(self, argv, flags=(), report=True, **options):
        """Traces a program; its Recording (report=False: the Result and the session's name)."""
        name = self.new_name()
        result = self.run([CLI, "record", *flags, "--name", name, "--", *argv], **options)
        if not report:
            return result, name
        return self.recording(result, name)

    def recording(self, result, name):
        completed = subprocess.CompletedProcess([], result.status, result.stdout, result.stderr)
        try:
            return Recording(completed, self.document(name))
        except AssertionError as error:
            raise AssertionError(f"{error}\nof the run: {result}") from None

    def document(self, session, *flags):
        return json.loads(self.cli("report", session, "--format", "json", *flags))

    def events(self, session, *flags):
        """The rows of `report events`, as dictionaries."""
        rows = self.cli("report", "events", session, "--format", "jsonl", *flags)
        return [json.loads(line) for line in rows.splitlines()]

    def sessions(self, *flags):
        return json.loads(self.cli("sessions", "--json", *flags)).get("sessions", [])

    # ---- The daemon. ----

    def daemon_pids(self):
        return [pid for pid, argv in self.processes() if os.path.basename(argv[0]) == b"watchd"]

    def start(self):
        self.cli("start")

    def kill_daemon(self):
        """Kills the daemon that runs now. A client that was just starting may already have another one."""
        killed = self.daemon_pids()
        for pid in killed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not set(killed) & set(self.daemon_pids()))

    def processes(self):
        """(pid, argv) of every process that was started in this world and lives."""
        mark = os.fsencode(self.runtime)
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if b"XDG_RUNTIME_DIR=" + mark not in file.read().split(b"\0"):
                        continue
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    argv = file.read().split(b"\0")
            except OSError:
                continue
            if argv != [b""]:  # Not a zombie.
                found.append((int(name), argv))
        return found

    def close(self):
        """Stops the daemon and removes the directories. Raises if something is wrong then: processes that would not end
        (they are killed), findings of a sanitizer."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self.run([CLI, "stop"], timeout=30)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.processes(), seconds=20)
        left = self.processes()
        for pid, _ in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        findings = []
        for name in sorted(os.listdir(self.home)):
            if name.startswith("sanitizer."):
                with open(os.path.join(self.home, name), errors="replace") as file:
                    findings.append(file.read(20000))
        shutil.rmtree(self.home, ignore_errors=True)
        if findings:
            raise AssertionError("a sanitizer found:\n" + "\n".join(findings))
        if left:
            raise AssertionError(f"processes were left behind: {left}")


class TestCase(unittest.TestCase):
    maxDiff = 5000

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.addClassCleanup(cls.world.close)

    def setUp(self):
        self.directory = os.path.realpath(tempfile.mkdtemp(prefix="ocpt.", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def write(self, name, content="content\n", mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb" if isinstance(content, bytes) else "w") as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def record(self, argv, **options):
        options.setdefault("cwd", self.directory)
        return self.world.record(argv, **options)

    def untraced(self, argv, **options):
        options.setdefault("cwd", self.directory)
        return self.world.run(argv, **options)

    def clear(self):
        for name in os.listdir(self.directory):
            path = self.path(name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)

    def transparent(self, argv, prepare=None, complete=True, edit=lambda text: text, **options):
        """Runs a program untraced and then traced, in the same directory as `prepare` made it, and compares status,
        stdout, stderr and all files byte by byte (`edit` takes out what differs between any two runs). The Recording."""
        if prepare:
            self.clear()
            prepare()
        else:
            before = snapshot(self.directory)
        expected = self.untraced(argv, **options)
        expected_files = snapshot(self.directory)
        if prepare:
            self.clear()
            prepare()
        else:
            self.assertEqual(before.keys(), expected_files.keys(), "this test needs prepare=")
        got = self.record(argv, **options)
        self.assertEqual(expected.status if expected.status >= 0 else 128 - expected.status, self.shell_status(got.status))
        self.assertEqual(edit(expected.stdout), edit(got.stdout))
        self.assertEqual(edit(expected.stderr), edit(got.stderr))
        self.assertEqual(expected_files, snapshot(self.directory))
        if complete:
            self.assertComplete(got)
        return got

    @staticmethod
    def shell_status(status):
        """As a shell says it: 128+n for a signal."""
        return status if status >= 0 else 128 - status

    def assertComplete(self, recording):
        self.assertTrue(recording.session["complete"], recording.session["not_seen"])
        self.assertEqual([], recording.session["not_seen"])
        for command in recording.commands:
            self.assertEqual("", command["opaque_reason"], command["argv"])
            self.assertFalse(command["running"], command["argv"])

    def only(self, items):
        items = list(items)
        self.assertEqual(1, len(items), items)
        return items[0]


def needs(*tools):
    """Skips a test where a tool is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return unittest.skipIf(missing, f"not installed: {', '.join(missing)}")


# What takes long, and shows nothing new with a sanitizer.
once = unittest.skipIf(SANITIZED, "the release shows it")
as_root = unittest.skipIf(os.getuid() != 0, "needs root")


def main():
    unittest.main(verbosity=2)
