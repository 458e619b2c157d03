"""Every view and format, on a recording of the hello project."""
import json
import os
import shutil
import subprocess
import time

import harness

COMMAND_FIELDS = """id parent_id pid argv executable cwd start_ns end_ns exit_status opaque_reason reads writes missing listed
 removed""".split()
FILE_FIELDS = "path read_by written_by missing_for listed_by removed_by".split()


class Reports(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # One recording for all tests; none changes it.
        cls.project = os.path.join(cls.world.home, "hello")
        shutil.copytree(harness.HELLO, cls.project, ignore=shutil.ignore_patterns("*.o", "hello", "version.h"))
        cls.recording = cls.world.record(["make"], flags=[], cwd=cls.project)
        cls.name = cls.recording.session["name"]

    def file(self, *names):
        return os.path.join(self.project, *names)

    def report(self, *arguments):
        return self.world.cli("report", *arguments, cwd=self.project).decode()

    def command(self, *argv):
        return self.only(self.recording.named(*argv))

    def test_the_build_itself(self):
        self.assertEqual(0, self.recording.status, self.recording)
        self.assertComplete(self.recording)
        self.assertEqual(b"Hello, world (1.0)\n", self.world.run([self.file("hello")]).stdout)

    def test_the_document(self):
        document = self.recording.document
        self.assertEqual(["session", "commands", "files"], list(document))
        for command in document["commands"]:
            self.assertEqual([], [name for name in COMMAND_FIELDS if name not in command])
            for kind in ("reads", "writes", "missing", "listed", "removed"):
                self.assertEqual([], [path for path in command[kind] if not path.startswith("/")])
                self.assertEqual(len(command[kind]), len(set(command[kind])))
        for file in document["files"]:
            self.assertEqual([], [name for name in FILE_FIELDS if name not in file])
        session = document["session"]
        self.assertEqual(["make"], session["argv"])
        self.assertEqual(self.project, session["cwd"])
        self.assertEqual(0, session["exit_status"])
        self.assertEqual("SESSION_FINISHED", session["state"])

    def test_commands_and_files_say_the_same(self):
        by_path = {}
        for command in self.recording.commands:
            for kind, field in (("reads", "read_by"), ("writes", "written_by"), ("missing", "missing_for"),
                                ("listed", "listed_by"), ("removed", "removed_by")):
                for path in command[kind]:
                    by_path.setdefault(path, {}).setdefault(field, set()).add(command["id"])
        for path, fields in by_path.items():
            file = self.recording.files[path]
            for field in FILE_FIELDS[1:]:
                self.assertEqual(fields.get(field, set()), set(file[field]), (path, field))

    def test_what_the_build_did(self):
        compile_main = self.command("cc", "-O2", "-Wall", "-c", "-o", "main.o")
        self.assertEqual(self.command("make")["id"], self.ancestor(compile_main))
        cc1 = self.only(command for command in self.recording.commands
                        if command["executable"].endswith("/cc1") and "main.c" in command["argv"])
        self.assertEqual(compile_main["id"], cc1["parent_id"])
        for name in ("main.c", "greeting.h", "version.h"):
            self.assertIn(self.file(name), cc1["reads"])
        self.assertIn("/usr/include/stdio.h", cc1["reads"])
        self.assertIn(self.file("main.o"), self.recording.uses("writes"))
        self.assertIn(self.project, self.command("make")["listed"])
        shell = self.only(command for command in self.recording.commands if command["argv"][0].endswith("sh"))
        self.assertIn(self.file("version.h"), shell["writes"])
        self.assertEqual({command["id"] for command in self.recording.commands if self.file("hello") in command["writes"]},
                         set(self.recording.files[self.file("hello")]["written_by"]))

    def ancestor(self, command):
        by_id = {each["id"]: each for each in self.recording.commands}
        while by_id[command["parent_id"]]["argv"] != ["make"]:
            command = by_id[command["parent_id"]]
        return command["parent_id"]

    def test_summary(self):
        text = self.report(self.name)
        for word in ("make", "exit 0" if "exit 0" in text else "0", "processes", "read", "written"):
            self.assertIn(word, text)
        self.assertNotIn("\x1b", text)
        summary = json.loads(self.report("summary", self.name, "--json"))["summary"]
        self.assertEqual(len(self.recording.commands), int(summary["commands"]))
        self.assertEqual(len([file for file in self.recording.files.values() if file["written_by"]]), int(summary["files_written"]))
        self.assertEqual(len([file for file in self.recording.files.values() if file["read_by"]]), int(summary["files_read"]))
        self.assertTrue(summary["slowest"])

    def test_tree(self):
        text = self.report("tree", self.name)
        lines = text.splitlines()
        position = {word: next(i for i, line in enumerate(lines) if word in line) for word in ("make", "cc -O2", "cc1 ")}
        self.assertLess(position["make"], position["cc -O2"])
        self.assertLess(position["cc -O2"], position["cc1 "])
        self.assertIn("main.o", text)
        self.assertNotIn("\x1b", text)

    def test_commands(self):
        text = self.report("commands", self.name)
        self.assertGreaterEqual(len(text.splitlines()), len(self.recording.commands))
        self.assertIn("cc -O2 -Wall -c -o main.o main.c", text)

    def test_files(self):
        lines = self.report("files", self.name, "--under", ".").splitlines()
        self.assertTrue(any(self.file("main.c") in line for line in lines))
        self.assertFalse(any("/usr/include" in line for line in lines))

    def test_events(self):
        text = self.report("events", self.name, "--limit", "100000000")
        self.assertIn("main.c", text)
        events = self.world.events(self.name)
        self.assertEqual(int(self.recording.session["events"]), len(events))
        self.assertEqual(sorted(int(event["time_ns"]) for event in events[:1])[0], int(events[0]["time_ns"]))
        opened = [event for event in events if event["path"] == self.file("main.c") and event["function"].startswith("open")]
        self.assertTrue(all("O_RDONLY" in event["text"] and "= " in event["text"] for event in opened), opened)

    def test_selection(self):
        def paths(*flags):
            return {file["path"] for file in json.loads(self.report("files", self.name, "--json", *flags))["files"]}

        everything = paths()
        self.assertEqual(set(self.recording.files), everything)
        self.assertEqual({path for path, file in self.recording.files.items() if file["written_by"]}, paths("--writes"))
        self.assertEqual({path for path, file in self.recording.files.items() if file["read_by"]}, paths("--reads"))
        self.assertEqual({path for path, file in self.recording.files.items() if file["missing_for"]}, paths("--missing"))
        self.assertEqual({path for path in everything if (path + "/").startswith(self.project + "/")}, paths("--under", self.project))
        self.assertEqual({path for path in everything if path.endswith(".h")}, paths("--glob", "*.h"))
        self.assertEqual(paths("--under", self.project) & paths("--writes"), paths("--under", ".", "--writes"))
        self.assertEqual(3, len(paths("--limit", "3")))
        one = self.command("cc", "-O2", "-Wall", "-c", "-o", "main.o")
        chosen = json.loads(self.report("commands", self.name, "--json", "--command", str(one["id"])))["commands"]
        self.assertEqual([one["id"]], [command["id"] for command in chosen])

    def test_failed(self):
        recording = self.world.record(["/bin/sh", "-c", "false; true; exit 2"], cwd=self.project)
        failed = json.loads(self.report("commands", recording.session["id"], "--failed", "--json"))["commands"]
        self.assertEqual({1}, {command["id"] for command in failed})
        recording = self.world.record(["/bin/sh", "-c", "cat no_such_file; /bin/true"], cwd=self.project)
        failed = json.loads(self.report("commands", recording.session["id"], "--failed", "--json"))["commands"]
        self.assertEqual([["cat", "no_such_file"]], [command["argv"] for command in failed])

    def test_what_a_file_was_made_from(self):
        text = self.report(self.name, "--file", "hello")
        for name in ("main.o", "greeting.o", "main.c", "version.h", "VERSION"):
            self.assertIn(name, text)
        origin = json.loads(self.report(self.name, "--file", "hello", "--json"))["origin"]
        by_path = {step["path"]: step for step in origin}
        self.assertEqual(0, by_path[self.file("hello")]["depth"])
        self.assertIn(self.file("main.o"), by_path[self.file("hello")]["made_from"])
        self.assertIn(self.file("version.h"), by_path[self.file("version.h")]["path"])
        self.assertLess(by_path[self.file("hello")]["depth"], by_path[self.file("version.h")]["depth"])

    def test_json_lines(self):
        rows = [json.loads(line) for line in self.report(self.name, "--format", "jsonl").splitlines()]
        self.assertEqual(self.recording.commands, rows)
        rows = [json.loads(line) for line in self.report("files", self.name, "--format", "jsonl").splitlines()]
        self.assertEqual(self.recording.document["files"], rows)

    def test_compile_commands(self):
        entries = json.loads(self.report(self.name, "--format", "compile-commands"))
        self.assertEqual({"main.c", "greeting.c"}, {os.path.basename(entry["file"]) for entry in entries})
        for entry in entries:
            self.assertEqual(self.project, entry["directory"])
            self.assertIn("-c", entry["arguments"])
            # They work as they stand.
            arguments = [*entry["arguments"]]
            arguments[arguments.index("-o") + 1] = "/dev/null"
            subprocess.run(arguments, cwd=entry["directory"], check=True)

    def test_chrome_trace(self):
        trace = json.loads(self.report(self.name, "--format", "chrome-trace"))
        events = trace["traceEvents"] if isinstance(trace, dict) else trace
        spans = [event for event in events if event["ph"] == "X"]
        self.assertEqual(len(self.recording.commands), len(spans))
        for span in spans:
            self.assertLessEqual(0, span["dur"])
            self.assertTrue(span["name"])
        # A track for each process.
        processes = {command["pid"] for command in self.recording.commands}
        self.assertEqual(len(processes), len({(span["pid"], span["tid"]) for span in spans}))

    def test_dot(self):
        text = self.report(self.name, "--format", "dot")
        self.assertRegex(text, r"^digraph")
        self.assertIn("main.c", text)
        if shutil.which("dot"):
            subprocess.run(["dot", "-Tsvg", "-o", "/dev/null"], input=text.encode(), check=True)

    def test_by_id_by_name_and_the_last(self):
        session = self.recording.session["id"]
        self.assertEqual(self.report("tree", self.name), self.report("tree", session))
        world = harness.World()
        self.addCleanup(world.close)
        world.record(["true"])
        last = world.record([harness.SAY, "the last"])
        self.assertEqual(last.document, json.loads(world.cli("report", "--json")))
        result = world.run([harness.CLI, "report", "no-such-session"])
        self.assertNotEqual(0, result.status)
        self.assertIn(b"no-such-session", result.stderr)
        self.assertEqual(b"", result.stdout)

    def test_a_log_copied_from_elsewhere(self):
        copy = os.path.join(self.world.home, "copied.ocplog")
        shutil.copy(self.recording.session["log"], copy)
        world = harness.World()
        self.addCleanup(world.close)
        document = json.loads(world.cli("report", copy, "--format", "json"))
        self.assertEqual(self.recording.commands, document["commands"])
        self.assertEqual(self.recording.document["files"], document["files"])
        self.assertIn("main.o", world.cli("report", "tree", copy).decode())

    @harness.needs("zstd")
    def test_a_log_is_a_zstd_file(self):
        content = subprocess.run(["zstd", "-dc"], stdin=open(self.recording.session["log"], "rb"), check=True,
                                 capture_output=True).stdout
        self.assertIn(self.file("main.c").encode(), content)

    def test_live_and_replayed_models_are_the_same(self):
        """The document comes from the stored model, or while it ran from the live one; the events of the log make it anew."""
        log = self.recording.session["log"]
        cut = os.path.join(self.world.home, "cut.ocplog")
        # Without the stored model at the end, the log's events have to be replayed.
        with open(log, "rb") as whole, open(cut, "wb") as file:
            file.write(whole.read()[:-1])
        document = json.loads(self.world.cli("report", cut, "--format", "json"))
        self.assertEqual([command["argv"] for command in self.recording.commands],
                         [command["argv"] for command in document["commands"]])
        for before, after in zip(self.recording.commands, document["commands"]):
            for kind in ("reads", "writes", "missing", "listed", "removed", "checked"):
                self.assertEqual(before[kind], after[kind], before["argv"])

    def test_a_reader_that_goes_away(self):
        result = self.world.run(["/bin/bash", "-c", f"'{harness.CLI}' report events {self.name} | head -n 1; echo ${{PIPESTATUS[0]}}"])
        self.assertEqual(b"", result.stderr)
        self.assertEqual(2, len(result.stdout.splitlines()))

    def test_sessions_and_rm(self):
        world = harness.World()
        self.addCleanup(world.close)
        for _ in range(3):
            world.record(["true"])
        sessions = world.sessions()
        self.assertEqual(3, len(sessions))
        world.cli("rm", sessions[0]["id"])
        self.assertEqual([session["id"] for session in sessions[1:]], [session["id"] for session in world.sessions()])
        self.assertFalse(os.path.exists(sessions[0]["log"]))
        self.assertTrue(os.path.exists(sessions[1]["log"]))

    def test_calls_can_be_changed(self):
        name = self.world.new_name()
        self.world.cli("record", "--name", name, "--calls", "family:open=off", "--", "cat", "VERSION", cwd=self.project)
        self.assertFalse([event for event in self.world.events(name) if event["function"].startswith("open")])
        self.world.cli("record", "--name", name + "s", "--calls", "open=synchronous,openat=synchronous,stat=before+after", "--",
                       "/bin/sh", "-c", "cat < VERSION", cwd=self.project)
        events = self.world.events(name + "s")
        opens = [event["kind"] for event in events if event["function"] in ("open", "open64") and event["path"] == self.file("VERSION")]
        self.assertEqual(["before", "after"], opens)

    def test_help_version_and_doctor(self):
        for arguments in (["--help"], ["version"], ["--version"], ["help"], *([word, "--help"] for word in
                          ("record", "report", "sessions", "follow", "status", "start", "stop", "rm", "doctor"))):
            with self.subTest(arguments):
                start = time.monotonic()
                self.assertTrue(self.world.cli(*arguments))
                self.assertLess(time.monotonic() - start, 5)
        self.assertIn(b"record", self.world.cli("--help"))
        self.world.cli("doctor")
        result = self.world.run([harness.CLI, "recrod", "--", "true"])
        self.assertNotEqual(0, result.status)
        self.assertIn(b"record", result.stderr)


if __name__ == "__main__":
    harness.main()
