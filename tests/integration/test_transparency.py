"""Scenario A.7: the traced run equals the untraced one."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import harness


class Transparency(harness.TestCase):
    def test_exit_status(self):
        for command in ("true", "false", "exit 3", "exit 255", "kill -9 $$", "kill -TERM $$", "kill -SEGV $$", "kill -PIPE $$"):
            with self.subTest(command):
                self.transparent(["/bin/sh", "-c", command])

    def test_a_signal_is_raised_again(self):
        """The caller of `ocp-watch record` sees what the caller of the command would."""
        result, _ = self.record(["/bin/sh", "-c", "kill -TERM $$"], report=False)
        self.assertEqual(-signal.SIGTERM, result.status)

    def test_surroundings_and_errno(self):
        """Environment, descriptors, masks, limits, and errno after some fifty failing calls."""
        def edit(text):
            return re.sub(rb"^environment (_|OLDPWD)=.*\n", b"", text, flags=re.M)

        self.transparent([harness.program("state"), "argument"], edit=edit)
        self.transparent(["/bin/sh", "-c", "umask 027; ulimit -c 0; cd /usr; exec 7</etc/passwd 9>&1; trap '' HUP; "
                          + harness.program("state")], edit=edit)
        # Started without standard descriptors.
        closed = f"exec '{harness.program('state')}' 0<&- 2>&-"
        self.transparent(["/bin/sh", "-c", closed], edit=edit)

    def test_ls_of_the_descriptors(self):
        def edit(text):
            # Times, and the numbers of pipes and of the process.
            return [re.sub(rb"\d{2,}", b"N", (line.split(None, 8) or [b""])[-1]) for line in text.splitlines()]

        self.transparent(["ls", "-l", "/proc/self/fd"], edit=edit)
        self.transparent(["/bin/sh", "-c", "ls -l /proc/self/fd /proc/$$/fd"], edit=edit)

    def test_binary_output_and_order(self):
        self.write("bytes", bytes(range(256)) * 4000)
        self.transparent(["cat", "bytes"])
        self.transparent(["/bin/sh", "-c", "for i in 1 2 3; do echo out $i; echo err $i >&2; done 2>&1"])
        self.transparent(["cat"], stdin=b"from the standard input\n" * 1000)

    def test_a_closed_pipe(self):
        self.transparent(["/bin/bash", "-c", "yes | head -n 1; echo ${PIPESTATUS[@]}"])

    def test_the_process_group_is_the_users(self):
        shell = f"ps -o pgid= -p $$ | tr -d ' '; ps -o pgid= -p {os.getpid()} | tr -d ' '"
        recording = self.transparent(["/bin/sh", "-c", shell])
        mine, callers = recording.stdout.split()
        self.assertEqual(mine, callers)


class Terminal(harness.TestCase):
    """On a pseudo-terminal of 30 lines and 100 columns."""

    def on_terminal(self, argv, keys=(), cwd=None):
        """Everything that the terminal showed, and the exit status. `keys`: (a text to wait for, keys to type then)."""
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                os.chdir(cwd or self.directory)
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
                os.execvpe(argv[0], argv, dict(self.world.env, TERM="xterm", PS1="$ ", ENV=""))
            finally:
                os._exit(99)
        try:
            shown = self.watch(terminal, list(keys))
        finally:
            os.close(terminal)  # Hangs up whoever is still there.
        return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def watch(self, terminal, waiting):
        shown = b""
        end = time.monotonic() + 30
        while True:
            self.assertLess(time.monotonic(), end, f"hangs after {shown!r}, waiting for {waiting}")
            if not select.select([terminal], [], [], 0.2)[0]:
                continue
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # The last process has closed the terminal.
                piece = b""
            if not piece:
                return shown
            shown += piece
            if waiting and waiting[0][0] in shown:
                os.write(terminal, waiting.pop(0)[1])

    def compare(self, argv, keys=(), edit=lambda text: text):
        expected, expected_status = self.on_terminal(argv, keys)
        got, status = self.on_terminal([harness.CLI, "record", "--", *argv], keys)
        # The one line of ours, behind everything of the command's; a pipe does not get it.
        got = re.sub(rb"(\x1b\[\d*m)*ocp-watch: [^\r]*\r\n", b"", got)
        self.assertEqual(edit(expected), edit(got))
        self.assertEqual(self.shell_status(expected_status), self.shell_status(status))
        return got

    def test_isatty_and_window_size(self):
        shown = self.compare([harness.program("state")],
                             edit=lambda text: re.sub(rb"environment (_|OLDPWD)=.*|/dev/pts/\d+|session (own|inherited)"
                                                      rb"|process group (own|inherited)", b"", text))
        self.assertIn(b"isatty 0 1 window 30100", shown)
        self.compare(["stty", "size"])

    def test_ctrl_c(self):
        # Who says "ready" dies at once by the signal, whenever it comes.
        waiting = "sh -c 'echo ready; exec sleep 20'"
        shown = self.compare(["/bin/sh", "-c", f"trap 'echo caught; exit 5' INT; {waiting}"], keys=[(b"ready", b"\x03")])
        self.assertIn(b"caught", shown)
        _, status = self.on_terminal([harness.CLI, "record", "--", "sh", "-c", waiting],
                                     keys=[(b"ready", b"\x03")])
        self.assertEqual(130, self.shell_status(status))

    def test_ctrl_z_and_fg(self):
        """An interactive shell stops and resumes the recorded command as it does any other."""
        command = "sh -c 'echo ready; read line; echo got $line'"
        for traced in ("", f"{harness.CLI} record -- "):
            shown, status = self.on_terminal(
                ["/bin/bash", "--norc", "-i"],
                keys=[(b"$ ", f"{traced}{command}\n".encode()), (b"ready\r\n", b"\x1a"), (b"Stopped", b"fg\n"),
                      (b"Stopped", b"hello\n"), (b"got hello", b"exit 6\n")])
            self.assertIn(b"got hello", shown)
            self.assertEqual(6, status)

    def test_a_shell_with_job_control(self):
        """Inside the recorded command."""
        shown, status = self.on_terminal(
            [harness.CLI, "record", "--", "/bin/bash", "--norc", "-i"],
            keys=[(b"$ ", b"sh -c 'echo ready; read x; echo got $x'\n"), (b"ready\r\n", b"\x1a"), (b"Stopped", b"fg\n"),
                  (b"Stopped", b"hello\n"), (b"got hello", b"exit 6\n")])
        self.assertIn(b"got hello", shown)
        self.assertEqual(6, status)

    def test_a_pager(self):
        self.write("text", "".join(f"line {i}\n" for i in range(200)))
        self.compare(["less", "text"], keys=[(b"line 20", b"G"), (b"line 199", b"q")])

    def test_a_build_on_another_terminal(self):
        """make tells the commands below it which terminal it writes to."""
        self.write("in", "x\n")
        self.write("Makefile", "all: out\nout: in\n\t@sh -c 'cat in > out; echo made'\n")
        for goals in (["all"], ["all", "all"]):
            shown, status = self.on_terminal([harness.CLI, "build", "--name", str(len(goals)), "--", "make", *goals])
            self.assertEqual(0, status)
            self.assertIn(b"made", shown)
            os.unlink(self.path("out"))
            held = [pty.openpty() for _ in range(3)]
            self.addCleanup(lambda ends: [os.close(end) for pair in ends for end in pair], held)
        ran = [row["command"]["argv"][0] for row in json.loads(self.world.cli("explain", "2", "--json"))["commands"]
               if row["outcome"] != "reused"]
        self.assertEqual(["make"], ran)


if __name__ == "__main__":
    harness.main()
