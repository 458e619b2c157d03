"""`cmake --install`, and the systemd user units."""
import os
import shutil
import socket
import subprocess

import harness


class Install(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = os.path.join(cls.world.home, "root")
        with open(os.path.join(harness.BUILD, "CMakeCache.txt")) as file:
            cls.prefix = next(line.split("=")[1].strip() for line in file if line.startswith("CMAKE_INSTALL_PREFIX:"))
        subprocess.run(["cmake", "--install", harness.BUILD], env=dict(os.environ, DESTDIR=cls.root), check=True,
                       stdout=subprocess.DEVNULL)

    def installed(self, *names):
        return os.path.join(self.root + self.prefix, *names)

    def test_what_is_installed_works_by_itself(self):
        world = harness.World()
        self.addCleanup(world.close)
        world.env.pop("OCP_WATCHD")
        result = world.run([self.installed("bin/ocp-watch"), "record", "--name", "installed", "--", harness.SAY, "x"])
        self.assertEqual((0, b"x\n"), (result.status, result.stdout), result)
        daemon = os.readlink(f"/proc/{self.only(world.daemon_pids())}/exe")
        self.assertTrue(daemon.startswith(self.root), daemon)
        self.assertTrue(world.document("installed")["session"]["complete"])

    def test_what_belongs_there(self):
        found = [os.path.relpath(os.path.join(folder, name), self.root + self.prefix)
                 for folder, _, files in os.walk(self.root) for name in files]
        for wanted in ("bin/ocp-watch", "watchd", "libocpwatch-preload.so", "ocp-watch-replay",
                       "systemd/user/ocp-watch.socket", "systemd/user/ocp-watch.service", "man/man1/ocp-watch.1"):
            self.assertTrue(any(path.startswith(wanted) or path.endswith(wanted) or path.endswith(wanted + ".gz")
                                for path in found), (wanted, found))
        self.assertFalse([path for path in found if "test" in path or path.startswith("include")], found)

    @harness.needs("systemd-analyze")
    def test_the_units_are_well_formed(self):
        units = self.installed("lib/systemd/user")
        # The service names the program by the path that it will have.
        copies = self.path("units")
        shutil.copytree(units, copies)
        service = os.path.join(copies, "ocp-watch.service")
        with open(service) as file:
            text = file.read()
        with open(service, "w") as file:
            file.write(text.replace(f"ExecStart={self.prefix}", f"ExecStart={self.root}{self.prefix}"))
        result = self.world.run(["systemd-analyze", "verify", "--user", "--man=no", service, os.path.join(copies, "ocp-watch.socket")])
        self.assertEqual((0, b""), (result.status, result.stderr), result)

    @harness.needs("systemd-socket-activate")
    def test_socket_activation(self):
        runtime = os.path.join(self.world.runtime, "ocp-watch")
        os.makedirs(runtime, mode=0o700, exist_ok=True)
        sockets = [os.path.join(runtime, name) for name in ("control.sock", "intercept.sock")]
        activator = subprocess.Popen(
            ["systemd-socket-activate", *(f"--listen={path}" for path in sockets), "--fdname=control.sock:intercept.sock",
             *(f"--setenv={name}" for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "HOME") if name in self.world.env),
             harness.WATCHD, "--foreground"],
            env=self.world.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            harness.wait_until(lambda: all(map(os.path.exists, sockets)))
            for path in sockets:
                os.chmod(path, 0o600)
            recording = self.record([harness.SAY, "x"])
            self.assertComplete(recording)
            # The activator has become the daemon; no other was started.
            self.assertEqual([activator.pid], self.world.daemon_pids())
            status = harness.json.loads(self.world.cli("status", "--json"))
            self.assertEqual("systemd", status["started_by"])
        finally:
            self.world.cli("stop", check=False)
            try:
                activator.wait(timeout=20)
            except subprocess.TimeoutExpired:
                activator.kill()
                activator.wait()
            activator.stderr.close()

    def test_notify_and_watchdog(self):
        """Type=notify: READY=1 when it serves, WATCHDOG=1 as often as it is asked, STOPPING=1 at the end."""
        world = harness.World()
        self.addCleanup(world.close)
        path = os.path.join(world.home, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(20)
            daemon = subprocess.Popen([harness.WATCHD, "--foreground"], env=dict(world.env, NOTIFY_SOCKET=path, WATCHDOG_USEC="400000"),
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                said = b""
                while b"READY=1" not in said or b"WATCHDOG=1" not in said:
                    said += notify.recv(4096) + b"\n"
                daemon.terminate()
                while b"STOPPING=1" not in said:
                    said += notify.recv(4096) + b"\n"
            finally:
                self.assertEqual(0, daemon.wait(timeout=30))


if __name__ == "__main__":
    harness.main()
