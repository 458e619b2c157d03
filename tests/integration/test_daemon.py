"""Bar 6 and scenario E: a daemon that is killed, stopped, started twenty times at once, or finds a bad place to live in."""
import json
import os
import signal
import subprocess
import time

import harness

SLOW_MAKEFILE = """\
objects := $(foreach i,1 2 3 4 5 6 7 8 9,out.$(i))
all: $(objects)
\tcat $(objects) > all
out.%: in
\tsleep 0.1; cat in > $@; echo made $@
"""


class Daemon(harness.TestCase):
    def prepare(self):
        self.write("Makefile", SLOW_MAKEFILE)
        self.write("in")

    def test_killed_in_the_middle_of_a_build(self):
        self.prepare()
        expected = self.untraced(["make"])
        expected_files = harness.snapshot(self.directory)
        self.clear()
        self.prepare()
        name = self.world.new_name()
        build = subprocess.Popen([harness.CLI, "record", "--name", name, "--", "make"], cwd=self.directory, env=self.world.env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        harness.wait_until(lambda: os.path.exists(self.path("out.4")))
        self.world.kill_daemon()
        stdout, stderr = build.communicate(timeout=harness.TIMEOUT)
        self.assertEqual(expected.status, build.returncode, stderr)
        self.assertEqual(expected.stdout, stdout)
        self.assertEqual(expected_files, harness.snapshot(self.directory))
        # The user is told; the commands' own words are all that was there untraced.
        self.assertTrue(stderr)
        # The next command starts a new daemon, which can read what was written up to there.
        document = self.world.document(name)
        self.assertEqual("SESSION_INTERRUPTED", document["session"]["state"])
        self.assertFalse(document["session"]["complete"])
        self.assertIn(self.path("in"), {path for command in document["commands"] for path in command["reads"]})
        self.assertEqual(1, len(self.world.daemon_pids()))

    def test_killed_at_any_moment(self):
        """Before the first call, while a fast session runs, at its end: the command always ends as untraced."""
        expected = self.untraced(["/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8; do cat /etc/passwd; done; exit 3"])
        for milliseconds in (0, 1, 2, 5, 10, 15, 20, 30, 50):
            with self.subTest(milliseconds):
                self.world.start()
                build = subprocess.Popen(
                    [harness.CLI, "record", "--", "/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8; do cat /etc/passwd; done; exit 3"],
                    env=self.world.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                time.sleep(milliseconds / 1000)
                self.world.kill_daemon()
                stdout, stderr = build.communicate(timeout=60)
                # 125: the daemon was gone before the command could be started, and that is said.
                if build.returncode == 125:
                    self.assertEqual(b"", stdout)
                    self.assertTrue(stderr)
                else:
                    self.assertEqual((expected.status, expected.stdout), (build.returncode, stdout), stderr)
        self.assertEqual(0, self.record(["true"]).status)

    def test_stopped_for_a_while(self):
        """SIGSTOP: the ring fills up, the command goes on after its bound, and the session says that it is incomplete."""
        self.world.start()
        self.write("file")
        pid = self.only(self.world.daemon_pids())
        name = self.world.new_name()
        build = subprocess.Popen([harness.CLI, "record", "--name", name, "--", "/bin/sh", "-c",
                                  f"echo ready; read x; {harness.program('many')} opens 200000; exit 3"], cwd=self.directory,
                                 env=self.world.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(b"ready\n", build.stdout.readline())
        start = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        try:
            build.stdin.write(b"go\n")
            build.stdin.close()
            # The command's own processes end, though nobody reads.
            harness.wait_until(lambda: not [argv for _, argv in self.world.processes() if argv[0] == harness.program("many").encode()]
                               and time.monotonic() - start > 1, seconds=60)
        finally:
            os.kill(pid, signal.SIGCONT)
        build.stdout.close()
        build.stderr.close()
        self.assertEqual(3, build.wait(timeout=60))
        self.assertLess(time.monotonic() - start, 40)
        session = harness.wait_until(lambda: self.world.document(name)["session"])
        self.assertFalse(session["complete"])

    def test_standing_still_is_told(self):
        """Nobody who begins waits for a daemon that does not answer."""
        self.world.start()
        pid = self.only(self.world.daemon_pids())
        os.kill(pid, signal.SIGSTOP)
        try:
            clients = [subprocess.Popen([harness.CLI, mode, "--", "true"], env=self.world.env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE) for mode in ("record", "build")]
            for client in clients:
                stdout, stderr = client.communicate(timeout=60)
                self.assertEqual((125, b""), (client.returncode, stdout), stderr)
                self.assertIn(b"does not answer", stderr)
        finally:
            os.kill(pid, signal.SIGCONT)

    def test_twenty_clients_start_one_daemon(self):
        self.world.cli("stop", check=False)
        harness.wait_until(lambda: not self.world.daemon_pids())
        clients = [subprocess.Popen([harness.CLI, "record", "--", "echo", str(i)], env=self.world.env, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE) for i in range(20)]
        for i, client in enumerate(clients):
            stdout, stderr = client.communicate(timeout=120)
            self.assertEqual((0, f"{i}\n".encode()), (client.returncode, stdout), stderr)
        self.assertEqual(1, len(self.world.daemon_pids()))

    def test_many_sessions_at_once(self):
        clients = []
        for i in range(20):
            self.write(f"in.{i}")
            name = self.world.new_name()
            clients.append((i, name, subprocess.Popen([harness.CLI, "record", "--name", name, "--", harness.SAY, str(i), "--read",
                                                       f"in.{i}"], cwd=self.directory, env=self.world.env,
                                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)))
        for i, name, client in clients:
            self.assertEqual(0, client.wait(timeout=120))
            command = self.only(self.world.document(name)["commands"])
            self.assertEqual(str(i), command["argv"][1])
            self.assertEqual([self.path(f"in.{i}")], [path for path in command["reads"] if path.startswith(self.directory)])

    def test_a_stale_socket(self):
        """What a killed daemon leaves behind does not keep the next one from starting."""
        self.world.start()
        self.world.kill_daemon()
        self.assertTrue(os.path.exists(os.path.join(self.world.runtime, "ocp-watch/control.sock")))
        self.assertEqual(0, self.record(["true"]).status)

    def test_status_and_stop_start_nothing(self):
        world = harness.World()
        self.addCleanup(world.close)
        for command in ("status", "stop"):
            world.run([harness.CLI, command])
            self.assertEqual([], world.daemon_pids(), command)

    def test_stop(self):
        self.world.start()
        self.only(self.world.daemon_pids())
        self.world.cli("stop")
        harness.wait_until(lambda: not self.world.daemon_pids())
        self.world.cli("stop", check=False)

    def test_status(self):
        self.world.start()
        status = json.loads(self.world.cli("status", "--json"))
        self.assertEqual(self.only(self.world.daemon_pids()), status["pid"])
        self.assertEqual(os.path.join(self.world.state, "ocp-watch"), status["state_directory"])

    def test_proxies_are_not_asked(self):
        proxies = {name: "http://127.0.0.1:1" for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTPS_PROXY")}
        world = harness.World()
        self.addCleanup(world.close)
        world.env.update(proxies)
        self.assertEqual(0, world.record(["true"]).status)

    def test_no_home_at_all(self):
        world = harness.World()
        self.addCleanup(world.close)
        for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            world.env.pop(name, None)
        self.assertEqual(0, world.record(["true"]).status)

    def test_a_home_that_cannot_be_written(self):
        world = harness.World()
        self.addCleanup(world.close)
        world.env.update(XDG_STATE_HOME="/proc/no", XDG_CONFIG_HOME="/proc/no", HOME="/proc/no")
        result = world.run([harness.CLI, "record", "--", "true"])
        if result.status != 0:
            self.assertEqual(125, result.status)
            self.assertIn(b"/proc/no", result.stderr)

    def test_a_socket_path_that_is_too_long(self):
        world = harness.World()
        self.addCleanup(world.close)
        runtime = os.path.join(world.home, "r" * 120)
        os.mkdir(runtime, 0o700)
        world.env["XDG_RUNTIME_DIR"] = runtime
        world.runtime = runtime
        result = world.run([harness.CLI, "record", "--", "true"], timeout=60)
        if result.status != 0:
            self.assertEqual(125, result.status)
            self.assertIn(b"rrrr", result.stderr)

    def test_a_runtime_directory_of_somebody_else(self):
        for prepare in (lambda path: os.symlink("/tmp", path), lambda path: os.mkdir(path, 0o777)):
            world = harness.World()
            self.addCleanup(world.close)
            path = os.path.join(world.runtime, "ocp-watch")
            prepare(path)
            if not os.path.islink(path):
                os.chmod(path, 0o777)
                if os.getuid() == 0:
                    os.chown(path, 1, 1)
            result = world.run([harness.CLI, "record", "--", "echo", "ran"], timeout=60)
            self.assertEqual((125, b""), (result.status, result.stdout), result)
            self.assertIn(path.encode(), result.stderr)

    def test_a_damaged_index_or_log(self):
        """The sessions that are whole stay readable."""
        world = harness.World()
        self.addCleanup(world.close)
        names = [world.new_name() for _ in range(2)]
        self.write("file")
        argvs = [[harness.program("many"), "opens", "100000"], [harness.SAY, names[1]]]
        for name, argv in zip(names, argvs):
            self.assertEqual(0, world.run([harness.CLI, "record", "--name", name, "--", *argv], cwd=self.directory).status)
        log = world.document(names[0])["session"]["log"]
        world.cli("stop")
        harness.wait_until(lambda: not world.daemon_pids())
        with open(log, "r+b") as file:
            file.truncate(os.path.getsize(log) * 2 // 3)
        document = world.document(names[0])
        self.assertFalse(document["session"]["complete"])
        self.assertIn(self.path("file"), document["commands"][0]["reads"])
        self.assertEqual([names[1]], world.document(names[1])["commands"][0]["argv"][1:])
        world.cli("stop")
        harness.wait_until(lambda: not world.daemon_pids())
        with open(os.path.join(world.state, "ocp-watch/index.db"), "r+b") as file:
            file.write(b"garbage" * 1000)
        self.assertEqual(0, world.record(["true"]).status)


if __name__ == "__main__":
    harness.main()
