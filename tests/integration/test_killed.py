"""Bar 4: a process killed with SIGKILL after its Nth call leaves exactly N calls in the log."""
import random

import harness

RUNS = 1000
# Spread over a ring's laps: a record for an open and one for a close are about 200 bytes, the ring holds 4 MiB.
MOST = 300


class Killed(harness.TestCase):
    def test_exactly_n_calls(self):
        """One session holds all runs: a shell starts them one after the other."""
        seed = random.randrange(1 << 30)
        chooser = random.Random(seed)
        runs = 100 if harness.SANITIZED else RUNS
        counts = [chooser.randrange(MOST) for _ in range(runs)]
        self.write("file")
        script = "".join(f"'{harness.program('forks')}' kill {count}\n" for count in counts)
        result, name = self.record(["/bin/sh", "-s"], stdin=script.encode(), report=False)
        self.assertEqual(137, self.shell_status(result.status))
        recording = self.world.recording(result, name)
        killed = recording.named(harness.program("forks"), "kill")
        self.assertEqual([str(count) for count in counts], [command["argv"][2] for command in killed])
        self.assertEqual({"signal 9"}, {recording.status_of(command) for command in killed})
        opens = {command["id"]: 0 for command in killed}
        for event in self.world.events(name, "--glob", self.path("file")):
            if event["kind"] == "after" and event["function"] == "open":
                opens[event["command_id"]] += 1
        self.assertEqual(counts, [opens[command["id"]] for command in killed], f"seed {seed}")
        self.assertTrue(recording.session["complete"], recording.session["not_seen"])


if __name__ == "__main__":
    harness.main()
