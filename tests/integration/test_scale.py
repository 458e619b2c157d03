"""Scenario A.8 and bar 5: many of everything, and nothing lost."""
import time

import harness

# A sanitized daemon takes ten times as long; what counts there is that it stays clean.
FEWER = 20 if harness.SANITIZED else 1


class Scale(harness.TestCase):
    def test_two_thousand_processes_a_hundred_at_once(self):
        count = 2000 // FEWER
        recording = self.record([harness.program("many"), "processes", str(count), "100", harness.SAY])
        self.assertEqual(0, recording.status, recording)
        self.assertComplete(recording)
        words = sorted(int(command["argv"][1]) for command in recording.named("say"))
        self.assertEqual(list(range(count)), words)
        self.assertEqual({"exit 0"}, {recording.status_of(command) for command in recording.commands})
        self.assertEqual({1}, {command["parent_id"] for command in recording.named("say")})
        self.assertEqual(count + 1, int(recording.session["processes"]))

    def test_a_million_opens(self):
        count = 1_000_000 // FEWER
        self.write("file")
        recording = self.record([harness.program("many"), "opens", str(count)])
        self.assertEqual(0, recording.status, recording)
        self.assertComplete(recording)
        calls = self.calls(recording.session["id"])
        self.assertEqual(count, calls["open"])
        self.assertGreaterEqual(calls["close"], count)
        self.assertGreaterEqual(int(recording.session["events"]), 2 * count)

    def test_ten_million_events(self):
        count = 10_000_000 // FEWER
        self.write("file")
        result, name = self.record([harness.program("many"), "stats", str(count)], report=False)
        self.assertEqual(0, result.status, result)
        self.assertEqual(count, self.calls(name)["stat"])
        start = time.monotonic()
        summary = self.world.cli("report", name)
        seconds = time.monotonic() - start
        self.assertIn(b"stat", summary)
        if not harness.SANITIZED:
            self.assertLess(seconds, 0.2)
            status = self.world.cli("status", "--json")
            self.assertLess(int(harness.json.loads(status)["resident_bytes"]), 200 << 20)

    def test_a_tree_of_ten_thousand_commands(self):
        count = 10_000 // FEWER
        result, name = self.record([harness.program("many"), "processes", str(count), "4", harness.SAY], report=False)
        self.assertEqual(0, result.status, result)
        start = time.monotonic()
        tree = self.world.cli("report", "tree", name)
        seconds = time.monotonic() - start
        self.assertGreaterEqual(tree.count(b"\n"), count)
        if not harness.SANITIZED:
            self.assertLess(seconds, 1)

    def calls(self, session):
        summary = harness.json.loads(self.world.cli("report", "summary", session, "--format", "json"))["summary"]
        return {call["function"]: int(call["count"]) for call in summary["calls"]}


if __name__ == "__main__":
    harness.main()
