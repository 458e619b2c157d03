"""Bar 8: a recording in one terminal; sessions, follow and report of it in another."""
import json
import os
import subprocess

import harness


@harness.needs("tmux")
class Live(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.socket = self.path("tmux")
        self.tmux("new-session", "-d", "-x", "120", "-y", "50", "-c", self.directory, "env PS1='$ ' sh")
        self.addCleanup(self.tmux, "kill-server")
        self.tmux("split-window", "-c", self.directory, "env PS1='$ ' sh")

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *arguments], env=dict(self.world.env, TERM="xterm"),
                              check=True, capture_output=True).stdout.decode()

    def type(self, pane, text):
        self.tmux("send-keys", "-t", f":.{pane}", "-l", text)
        self.tmux("send-keys", "-t", f":.{pane}", "Enter")

    def screen(self, pane):
        return self.tmux("capture-pane", "-p", "-J", "-S", "-500", "-t", f":.{pane}")

    def wait_for(self, pane, text):
        try:
            harness.wait_until(lambda: text in self.screen(pane), seconds=30)
        except AssertionError:
            self.fail(f"no {text!r} on:\n{self.screen(pane)}")

    def test_two_terminals(self):
        self.write("first")
        self.write("second")
        script = self.write("build", f"{harness.SAY} one --read first\necho waiting\nread line\n"
                                     f"{harness.SAY} two --read second\necho the end\n")
        self.type(0, f"{harness.CLI} record --name livetest -- sh {script}")
        self.wait_for(0, "waiting")
        # Other windows of the same user.
        session = self.only(self.world.sessions("--running"))
        self.assertEqual(("livetest", "SESSION_RUNNING"), (session["name"], session["state"]))
        self.type(1, f"{harness.CLI} sessions")
        self.wait_for(1, "livetest")
        document = self.world.document("livetest")
        self.assertIn(self.path("first"), {path for command in document["commands"] for path in command["reads"]})
        self.assertTrue(document["commands"][0]["running"])
        self.type(1, "clear")
        self.type(1, f"{harness.CLI} follow --from-start livetest")
        self.wait_for(1, "one --read first")
        self.type(0, "go")
        self.wait_for(0, "the end")
        self.wait_for(1, "two --read second")
        harness.wait_until(lambda: self.world.document("livetest")["session"]["state"] == "SESSION_FINISHED")
        document = self.world.document("livetest")
        self.assertIn(self.path("second"), {path for command in document["commands"] for path in command["reads"]})
        self.assertTrue(document["session"]["complete"])

    def test_follow_events(self):
        script = self.write("build", f"echo waiting\nread line\n{harness.SAY} x\n")
        self.type(0, f"{harness.CLI} record --name eventtest -- sh {script}")
        self.wait_for(0, "waiting")
        follower = subprocess.Popen([harness.CLI, "follow", "eventtest", "--events", "--json"], env=self.world.env,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=self.directory)
        first = follower.stdout.readline()  # It follows now.
        self.assertIn("session", json.loads(first))
        self.type(0, "go")
        output, _ = follower.communicate(timeout=60)
        self.assertEqual(0, follower.returncode)
        lines = [json.loads(line) for line in output.splitlines()]
        self.assertTrue(any("event" in line and harness.SAY in line["event"]["text"] for line in lines), lines[:5])


if __name__ == "__main__":
    harness.main()
