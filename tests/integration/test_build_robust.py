"""`ocp-watch build` when something is killed, when the disk is full, and when many build at once: the result is right all the
same, and the store stays sound.

    OCPWATCH_KILLS=200 test_build_robust.py Robust.test_killed_at_any_moment              as often as one likes
    OCPWATCH_FAULT_STRIDE=1 test_build_robust.py Robust.test_the_store_fails_at_any_write   at each of some hundred writes
"""
import contextlib
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import unittest

import building
import harness

KILLS = int(os.environ.get("OCPWATCH_KILLS", "6" if harness.SANITIZED else "15"))
FAULT_STRIDE = int(os.environ.get("OCPWATCH_FAULT_STRIDE", "23"))
SESSIONS = 10
STOPPED = "sleep 1"
SOURCES = ["a", "b", "c", "d"]

MAKEFILE = """\
prog: a.o b.o c.o d.o version
\tgcc -o $@ a.o b.o c.o d.o
%.o: %.c h.h
\tgcc -c -o $@ $<
version: VERSION
\tsed s/^/v/ VERSION > version
clean:
\trm -f *.o prog version
"""


class Robust(building.TestCase):
    def project(self):
        self.put("Makefile", MAKEFILE)
        self.put("h.h", "int b(void); int c(void); int d(void);\n")
        self.put("VERSION", "1\n")
        self.put("a.c", '#include "h.h"\nint main(void) { return b() + c() + d(); }\n')
        for name in SOURCES[1:]:
            self.put(f"{name}.c", f'#include "h.h"\nint {name}(void) {{ return 0; }}\n')

    def start_build(self, directory, *flags):
        return subprocess.Popen([*self.world.prefix, harness.CLI, "build", *flags, "--", "make", "-s", "-j2"], cwd=directory,
                                env=self.world.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def quiet(self):
        """Nothing is left of a build but the daemon."""
        daemons = set(self.world.daemon_pids())
        return all(pid in daemons for pid, _ in self.world.processes())

    def kill(self, whom):
        for pid, argv in self.world.processes():
            name = os.path.basename(argv[0]).decode()
            if name == whom:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def check_sound(self):
        verified = self.world.run([harness.CLI, "verify"])
        self.assertEqual(0, verified.status, verified)

    @harness.needs("gcc", "make")
    def test_killed_at_any_moment(self):
        rng = random.Random(7)
        self.project()
        began = time.monotonic()
        self.build(["make", "-s", "-j2"])
        span = time.monotonic() - began
        for number in range(1, KILLS + 1):
            whom = rng.choice(["watchd", "ocp-watch", "make"])
            with self.subTest(number=number, whom=whom):
                # Some of it is new, some is to be put back, some is in its place.
                name = rng.choice(SOURCES[1:])
                self.put(f"{name}.c", f'#include "h.h"\nint {name}(void) {{ return {rng.choice([0, number])}; }}\n')
                self.put("VERSION", f"{number}\n")
                if rng.random() < 0.5:
                    self.each(lambda tree: subprocess.run(["make", "-s", "clean"], cwd=tree, check=True))
                build = self.start_build(self.traced)
                time.sleep(rng.random() * span)
                self.kill(whom)
                build.wait(timeout=60)
                harness.wait_until(self.quiet)
                # make itself takes what a killed build has left for a product.
                self.each(lambda tree: subprocess.run(["make", "-s", "clean"], cwd=tree, check=True))
                self.build(["make", "-s", "-j2"])
        self.check_sound()

    @harness.once
    @harness.needs("make")
    def test_killed_in_the_middle_of_putting_back(self):
        """The client starts another daemon, which removes what the first one had laid beside the products' places."""
        self.put("Makefile", "all: a b c\na b c: in\n\tcp in $@\nclean:\n\trm -f a b c\n")
        self.put("in", "x" * 5000)
        self.build(["make"])
        for number in range(1, 4):
            with self.subTest(number=number):
                self.each(lambda tree: subprocess.run(["make", "-s", "clean"], cwd=tree, check=True))
                self.world.run([harness.CLI, "stop"])
                self.start_with_failing(self.traced, number, code=0, once=True)
                self.build(["make"])
                os.unlink(self.traced + ".failed")
        self.check_sound()

    @harness.as_root
    @harness.needs("gcc", "make", "mount")
    def test_a_full_disk(self):
        """The store's directory holds less than the build makes: it is built, and what could be kept is sound."""
        self.project()
        self.world.run([harness.CLI, "stop"])
        store = os.path.join(self.world.state, "ocp-watch")
        shutil.rmtree(store, ignore_errors=True)
        os.makedirs(store)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", store], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("may not mount")
        try:
            for _ in range(3):
                self.each(lambda tree: subprocess.run(["make", "-s", "clean"], cwd=tree, check=True))
                expected = self.world.run(["make", "-s", "-j2"], cwd=self.twin)
                got = self.world.run([harness.CLI, "build", "--", "make", "-s", "-j2"], cwd=self.traced)
                self.assertIn(got.status, (expected.status, 125), got)
                if got.status == 125:  # It says so, and the user builds without it.
                    self.assertIn(b"ocp-watch", got.stderr)
                    self.world.run(["make", "-s", "-j2"], cwd=self.traced)
                self.assertFalse(self.differences(), got)
        finally:
            self.world.run([harness.CLI, "stop"])
            subprocess.run(["umount", "-l", store], check=False)

    @harness.once
    def test_the_store_fails_at_any_write(self):
        """Whichever write of the store fails, once or from then on: the build is right, and so is one with what was stored."""
        self.put("Makefile", "all: a b\na: in\n\tcp in a; echo made a\nb: a\n\tsed s/x/y/ a > b\nclean:\n\trm -f a b\n")
        self.put("in", "x\n")
        make = ["make"]
        store = os.path.join(self.world.state, "ocp-watch", "store")
        for code, once in ((errno.ENOSPC, False), (errno.EIO, True)):
            failed, number = True, 1
            while failed:
                with self.subTest(error=errno.errorcode[code], number=number):
                    self.world.run([harness.CLI, "stop"])
                    shutil.rmtree(store, ignore_errors=True)
                    self.start_with_failing(store, number, code, once)
                    for _ in range(2):
                        self.each(lambda tree: subprocess.run(["make", "-s", "clean"], cwd=tree, check=True))
                        self.build_if_possible(make)
                    self.world.run([harness.CLI, "stop"])
                    self.each(lambda tree: subprocess.run(["make", "-s", "clean"], cwd=tree, check=True))
                    self.build_if_possible(make)
                    self.check_sound()
                failed = os.path.exists(store + ".failed")
                if failed:
                    os.unlink(store + ".failed")
                number += FAULT_STRIDE
            self.assertGreater(number, 20)

    def start_with_failing(self, directory, number, code, once):
        """The client keeps LD_PRELOAD from the daemon, so a script brings it in."""
        wrapper = self.path("failing-watchd")
        with open(wrapper, "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\nexport FAILING_DISK={directory} FAILING_FROM={number} FAILING_WITH={code}\n"
                       + ("export FAILING_ONCE=1\n" if once else "")
                       + f'LD_PRELOAD={harness.program("failing_disk.so")} exec {harness.WATCHD} "$@"\n')
        os.chmod(wrapper, 0o755)
        self.world.run([harness.CLI, "start"], env={**self.world.env, "OCP_WATCHD": wrapper})

    def build_if_possible(self, argv):
        """As build; a store that cannot be opened is said to be so, and the user builds without."""
        expected = self.world.run(argv, cwd=self.twin)
        got = self.world.run([harness.CLI, "build", "--", *argv], cwd=self.traced)
        if got.status == 125:
            self.assertIn(b"store", got.stderr)
            got = self.world.run(argv, cwd=self.traced)
        self.assertEqual((expected.status, expected.stdout), (got.status, got.stdout), got)
        self.assertFalse(self.differences(), got)

    def at_once(self, directories):
        """Builds in all of them at the same time; the statuses."""
        statuses = []

        def build(directory):
            statuses.append(self.start_build(directory).wait(timeout=300))

        threads = [threading.Thread(target=build, args=(directory,)) for directory in directories]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return statuses

    @harness.needs("gcc", "make")
    def test_ten_sessions_build_ten_trees(self):
        self.project()
        trees = [self.path(f"tree{number}") for number in range(SESSIONS)]
        for tree in trees:
            shutil.copytree(self.twin, tree)
        self.world.run(["make", "-s"], cwd=self.twin)
        for step in ("first", "again", "clean"):
            if step == "clean":
                for tree in trees:
                    subprocess.run(["make", "-s", "clean"], cwd=tree, check=True)
            self.assertEqual([0] * SESSIONS, self.at_once(trees), step)
            for tree in trees:
                self.assertEqual(harness.snapshot(self.twin), harness.snapshot(tree), step)
        self.check_sound()

    @harness.needs("gcc", "make")
    def test_ten_sessions_build_one_tree(self):
        """As with make itself, who compiles while another links may fail: once all have ended, one more build is right."""
        self.project()
        self.world.run(["make", "-s"], cwd=self.twin)
        self.at_once([self.traced] * SESSIONS)
        self.build(["make", "-s", "-j2"])
        self.at_once([self.traced] * SESSIONS)
        self.assertFalse(self.differences())
        self.each(lambda tree: subprocess.run(["make", "-s", "clean"], cwd=tree, check=True))
        self.at_once([self.traced] * SESSIONS)
        self.build(["make", "-s", "-j2"])
        self.check_sound()

    @harness.needs("make")
    def test_equal_commands_of_ten_sessions_run_once(self):
        """Two steps that take their time: each runs in one session, the others wait for it."""
        self.put("Makefile", "all: one two\none two:\n\tsleep 0.5; echo $@ > $@\n")
        self.world.run(["make", "-s", "-j2"], cwd=self.twin)
        names = [self.world.new_name() for _ in range(SESSIONS)]
        builds = [self.start_build(self.traced, "--name", name) for name in names]
        self.assertEqual([0] * SESSIONS, [build.wait(timeout=300) for build in builds])
        rows = [row for name in names for row in json.loads(self.world.cli("explain", name, "--json")).get("commands", [])]
        ran = [tuple(row["command"]["argv"]) for row in rows
               if row["outcome"] != "reused" and row["command"]["argv"][0].endswith("sh")]
        self.assertEqual(sorted(set(ran)), sorted(ran), building.Built(None, lambda: rows))
        self.assertFalse(self.differences())

    @contextlib.contextmanager
    def build_with_stopped_command(self, find):
        """A build whose command has been stopped as soon as `find` has found it among the processes."""
        self.put("Makefile", f"out:\n\t{STOPPED}; echo $@ > $@\n")
        self.world.run(["make", "-s"], cwd=self.twin)
        stopped = self.start_build(self.traced)
        pid = find(stopped)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield stopped
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assertEqual(0, stopped.wait(timeout=60))
        self.assertFalse(self.differences())

    @harness.needs("make")
    def test_nobody_waits_for_a_stopped_command(self):
        """Ctrl-Z in one terminal does not hold up the build in another."""
        def runs():
            return [pid for pid, argv in self.world.processes() if argv[1:3] == [b"-c", f"{STOPPED}; echo out > out".encode()]]

        with self.build_with_stopped_command(lambda _: harness.wait_until(runs)[0]) as stopped:
            self.assertEqual(0, self.start_build(self.traced).wait(timeout=40))
            self.assertIsNone(stopped.poll())

    @harness.needs("make")
    def test_nobody_waits_for_a_command_that_was_stopped_as_it_began(self):
        """Before it has said which process it is: some of them are met then."""
        def first_seen(build):
            while build.poll() is None:
                for pid in [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) > build.pid]:
                    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
                        if f"\0-c\0{STOPPED}; ".encode() in file.read():
                            return pid
            raise AssertionError("it has ended, and the command was not seen")

        for _ in range(1 if harness.SANITIZED else 3):
            with self.build_with_stopped_command(first_seen):
                self.assertEqual(0, self.start_build(self.traced).wait(timeout=40))
            self.each(lambda tree: os.unlink(os.path.join(tree, "out")))
            self.world.cli("clear", "--yes")

    def test_what_another_session_writes_meanwhile_is_not_kept(self):
        """A command's file is overwritten by another session before the command ends: what is there then is not its own."""
        mine = ["/bin/sh", "-c", "echo mine > out; sleep 1"]
        in_traced = lambda argv: self.world.run([harness.CLI, "build", "--", *argv], cwd=self.traced)
        mine_runs = threading.Thread(target=in_traced, args=(mine,))
        mine_runs.start()
        out = os.path.join(self.traced, "out")
        harness.wait_until(lambda: os.path.exists(out) and os.path.getsize(out))
        in_traced(["/bin/sh", "-c", "echo theirs > out"])
        mine_runs.join()
        os.unlink(out)
        self.assertEqual(mine, self.build(mine).ran[0])


if __name__ == "__main__":
    harness.main()
