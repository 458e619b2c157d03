"""Bar 7 from outside: garbage on both sockets, another user, another session's token. Nothing else is disturbed."""
import os
import random
import socket
import struct
import subprocess
import sys

import harness


def delimited(body):
    """A message with the varint of its length before it."""
    length, prefix = len(body), b""
    while length >= 0x80:
        prefix += bytes([length & 0x7F | 0x80])
        length >>= 7
    return prefix + bytes([length]) + body


class Hostile(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.world.start()
        self.pid = self.only(self.world.daemon_pids())
        self.intercept = os.path.join(self.world.runtime, "ocp-watch/intercept.sock")
        self.control = os.path.join(self.world.runtime, "ocp-watch/control.sock")

    def assertUndisturbed(self):
        self.assertEqual([self.pid], self.world.daemon_pids())
        self.assertComplete(self.record([harness.SAY, "x"]))

    def send(self, path, data):
        """What the daemon answers before it closes, or until it says nothing for a while."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(path)
            answer = b""
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    answer += piece
            except (TimeoutError, ConnectionError):
                pass
            return answer

    def test_garbage_on_the_sockets(self):
        chooser = random.Random(1)
        shapes = [b"", b"\0", b"\xff" * 20, b"\xff\xff\xff\xff\x0f", delimited(b"\x08"), delimited(b"\x1a\xff\xff\xff\xff\x0f"),
                  struct.pack("<Q", 1 << 40), b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100]
        shapes += [chooser.randbytes(chooser.randrange(1, 3000)) for _ in range(100)]
        shapes += [delimited(chooser.randbytes(chooser.randrange(1, 300))) for _ in range(100)]
        shapes.append(delimited(bytes(1 << 20)))
        with_a_session = subprocess.Popen([harness.CLI, "record", "--", harness.program("many"), "processes", "300", "2",
                                           harness.SAY], env=self.world.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for data in shapes:
            self.send(self.intercept, data)
            if chooser.random() < 0.2:
                self.send(self.control, data)
        self.assertEqual(0, with_a_session.wait(timeout=60))
        self.assertUndisturbed()

    def test_another_sessions_token(self):
        """A Proc with a token that no session has is refused."""
        proc = b"\x08\x01" + b"\x12" + delimited(b"\x08\x01")  # kind, pid...
        token = b"\x72" + delimited(bytes(16))
        frame = b"\x08\x01\x1a" + delimited(proc[:2] + b"\x60\x01" + token)
        answer = self.send(self.intercept, delimited(frame))
        self.assertNotIn(b"/", answer)
        self.assertUndisturbed()

    def test_many_connections(self):
        """Thousands that say nothing; those of others are served."""
        connections = []
        try:
            for _ in range(2000):
                connection = socket.socket(socket.AF_UNIX)
                connection.settimeout(1)
                connections.append(connection)
                try:
                    connection.connect(self.intercept)
                except OSError:
                    break
            self.assertComplete(self.record([harness.SAY, "x"]))
        finally:
            for connection in connections:
                connection.close()
        self.assertUndisturbed()

    def test_a_client_that_never_reads(self):
        """`follow` into a pipe that nobody empties does not hold up the session."""
        recording = subprocess.Popen([harness.CLI, "record", "--name", "busy", "--", "/bin/sh", "-c",
                                      f"echo ready; read x; cd {self.directory}; : > file; {harness.program('many')} opens 300000"],
                                     env=self.world.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.assertEqual(b"ready\n", recording.stdout.readline())
        follower = subprocess.Popen([harness.CLI, "follow", "--events", "busy"], env=self.world.env, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE)
        recording.stdin.write(b"go\n")
        recording.stdin.close()
        self.assertEqual(0, recording.wait(timeout=60))
        recording.stdout.close()
        self.assertTrue(self.world.document("busy")["session"]["complete"])
        follower.stdout.close()
        follower.kill()
        follower.wait()
        self.assertUndisturbed()

    @harness.as_root
    @harness.needs("setpriv")
    def test_another_user(self):
        """Neither socket lets another user in, even where the directories would."""
        for path in (self.world.home, self.world.runtime, os.path.dirname(self.intercept)):
            os.chmod(path, 0o755)
        try:
            for path in (self.intercept, self.control):
                os.chmod(path, 0o777)
                script = ("import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(5)\ntry:\n"
                          " s.connect(sys.argv[1])\n s.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\\0\\0\\0\\4\\0\\0\\0\\0\\0')\n"
                          " print(s.recv(100))\nexcept OSError as e:\n print(type(e).__name__)\n")
                result = self.world.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", script, path])
                self.assertIn(result.stdout.strip(), (b"b''", b"ConnectionResetError", b"BrokenPipeError"), result)
        finally:
            for path in (self.world.home, self.world.runtime, os.path.dirname(self.intercept)):
                os.chmod(path, 0o700)
        self.assertUndisturbed()

    @harness.as_root
    @harness.needs("setpriv")
    def test_a_command_that_becomes_another_user(self):
        """It runs as untraced; what it does then is either recorded or said to be missing."""
        self.write("file")
        os.chmod(self.directory, 0o755)
        recording = self.transparent(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", self.path("file")],
                                     complete=False)
        seen = self.path("file") in recording.uses("reads")
        self.assertTrue(seen or not recording.session["complete"])

    def test_a_ring_full_of_garbage(self):
        """A traced process overwrites the session's ring with garbage. The session suffers, the daemon does not."""
        script = self.write("vandal.py", """\
import os, random, sys
# Every mapping of a memory file that was not there before: the ring.
done = 0
with open('/proc/self/maps') as maps:
    ranges = [line.split() for line in maps if 'memfd:' in line or '/memfd' in line]
with open('/proc/self/mem', 'r+b', buffering=0) as memory:
    for words in ranges:
        start, end = (int(word, 16) for word in words[0].split('-'))
        if 'w' not in words[1]:
            continue
        memory.seek(start + int(sys.argv[1]))
        memory.write(random.Random(1).randbytes(min(end - start - int(sys.argv[1]), 1 << 20)))
        done += 1
os._exit(0 if done else 4)
""")
        for offset in (0, 64, 4096, 65536):
            with self.subTest(offset):
                result, name = self.record(["python3", script, str(offset)], report=False, timeout=60)
                self.assertNotEqual(4, result.status, "no ring was found")
                session = self.world.document(name)["session"]
                self.assertFalse(session["complete"])
                self.assertUndisturbed()


if __name__ == "__main__":
    harness.main()
