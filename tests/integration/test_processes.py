"""Scenarios A.3 and A.4: threads, signal handlers, forks without exec, orphans, and every way to end."""
import os
import signal
import time

import harness


class Processes(harness.TestCase):
    def test_threads_that_open_and_spawn_at_once(self):
        threads, files, programs = 8, 50, 5

        def prepare():
            for thread in range(threads):
                for i in range(files):
                    self.write(f"in/{thread}.{i}")
            os.mkdir(self.path("out"))

        recording = self.transparent([harness.program("threads"), harness.SAY], prepare,
                                     edit=lambda text: sorted(text.splitlines()))
        names = [f"{thread}.{i}" for thread in range(threads) for i in range(files)]
        top = recording.commands[0]
        self.assertEqual({self.path("in", name) for name in names}, recording.uses("reads", self.path("in")))
        self.assertEqual({self.path("out", name) for name in names}, recording.uses("writes", self.path("out")))
        self.assertEqual({self.path("in", name) for name in names}, {p for p in top["reads"] if p.startswith(self.path("in"))})
        words = sorted(command["argv"][1] for command in recording.commands[1:])
        self.assertEqual(sorted(f"word.{t}.{p}" for t in range(threads) for p in range(programs)), words)
        self.assertEqual({top["id"]}, {command["parent_id"] for command in recording.commands[1:]})

    def test_a_signal_handler_that_opens_files(self):
        self.write("main")
        self.write("handler")
        result, name = self.record([harness.program("signals"), "20000"], report=False)
        self.assertEqual(0, result.status, result)
        handled = int(result.stdout)
        self.assertGreater(handled, 0)
        opens = {}
        for event in self.world.events(name):
            if event["kind"] == "after" and event["function"] in ("open", "open64"):
                opens[event["path"]] = opens.get(event["path"], 0) + 1
        self.assertEqual(20000, opens[self.path("main")])
        # One signal more may have come behind the last count.
        self.assertIn(opens[self.path("handler")] - handled, (0, 1))

    def test_forks_without_exec_belong_to_their_command(self):
        def prepare():
            for name in ("child", "grandchild", "parent", "directory/below"):
                self.write(name)

        recording = self.transparent([harness.program("forks")], prepare)
        command = self.only(recording.commands)
        self.assertEqual(2, command["forks"])
        wanted = {self.path(name) for name in ("child", "grandchild", "parent", "directory/below")}
        self.assertEqual(wanted, {path for path in command["reads"] if path.startswith(self.directory)})

    def test_a_shells_subshells(self):
        self.write("a", "one\n")
        recording = self.transparent(["/bin/sh", "-c", "(cd /; (read x < " + self.path("a") + "; echo $x) | cat); exit 4"])
        self.assertEqual(4, recording.status)
        self.assertIn(self.path("a"), recording.commands[0]["reads"])
        cat = self.only(recording.named("cat"))
        self.assertEqual("/", cat["cwd"])

    def test_a_child_that_outlives_its_parent(self):
        self.write("early")
        name = self.world.new_name()
        result = self.world.run([harness.CLI, "record", "--name", name, "--", harness.program("forks"), "orphan"],
                                cwd=self.directory)
        self.assertEqual(0, result.status, result)
        harness.wait_until(lambda: os.path.exists(self.path("late")))
        harness.wait_until(lambda: self.world.document(name)["session"]["state"] == "SESSION_FINISHED")
        recording = self.world.recording(result, name)
        self.assertIn(self.path("early"), recording.uses("reads"))
        self.assertIn(self.path("late"), recording.uses("writes"))

    def test_each_way_to_exit_has_its_status(self):
        self.write("at_exit")
        ways = {"return": "exit 11", "exit": "exit 12", "_exit": "exit 13", "_Exit": "exit 14", "quick_exit": "exit 15",
                "syscall": "exit 16", "thread": "exit 21", "pthread_exit": "exit 0",
                "abort": f"signal {signal.SIGABRT.value}", "segv": f"signal {signal.SIGSEGV.value}",
                "term": f"signal {signal.SIGTERM.value}"}
        for way, status in ways.items():
            with self.subTest(way):
                recording = self.transparent([harness.program("exits"), way])
                self.assertEqual(status, recording.status_of(self.only(recording.commands)))
                at_exit = self.path("at_exit") in recording.uses("reads")
                self.assertEqual(way in ("return", "exit", "quick_exit", "thread", "pthread_exit"), at_exit)
                # The same below a shell: known from the wait of the parent, or from the process itself.
                recording = self.transparent(["/bin/sh", "-c", f"'{harness.program('exits')}' {way}; true"],
                                             edit=lambda text: b"" if way in ("abort", "segv", "term") else text)
                child = self.only(recording.named(harness.program("exits")))
                self.assertEqual(status, recording.status_of(child))

    def test_an_exec_at_the_end(self):
        recording = self.transparent([harness.program("exits"), "exec", harness.SAY, "x"])
        self.assertEqual(["replaced", "exit 0"], [recording.status_of(command) for command in recording.commands])

    def test_a_child_that_its_parent_kills(self):
        recording = self.transparent([harness.program("forks"), "killed_child"], lambda: self.write("child"))
        self.assertIn(self.path("child"), recording.uses("reads"))
        self.assertIn(self.path("written"), recording.uses("writes"))

    def test_times_are_in_order(self):
        recording = self.record(["/bin/sh", "-c", f"{harness.SAY} 1; sleep 0.3; {harness.SAY} 2"])
        for command in recording.commands:
            self.assertLessEqual(0, int(command["start_ns"]))
            self.assertLessEqual(int(command["start_ns"]), int(command["end_ns"]))
        first, second = recording.named(harness.SAY)
        self.assertGreaterEqual(int(second["start_ns"]) - int(first["end_ns"]), 300_000_000)
        self.assertGreaterEqual(int(recording.session["duration_ns"]), 300_000_000)
        self.assertLess(abs(int(recording.session["start_unix_ns"]) / 1e9 - time.time()), 60)


if __name__ == "__main__":
    harness.main()
