"""A differential fuzzer for `ocp-watch build`: random projects (fuzzing.py), random steps; after each, the build must leave
what the bare command leaves in a second copy of the tree. And a build after which nothing was changed must come to rest:
one that has found what it leaves is not run again.

    test_build_fuzz.py                       what CI runs
    OCPWATCH_FUZZ=1000-1200x40 test_build_fuzz.py    seeds 1000 to 1199, 40 steps each
"""
import os
import random
import time
import unittest

import building
import fuzzing
import harness

SEEDS, STEPS = range(1, 13), 20
if "OCPWATCH_FUZZ" in os.environ:
    span, steps = os.environ["OCPWATCH_FUZZ"].split("x")
    SEEDS, STEPS = range(*map(int, span.split("-"))), int(steps)
elif "OCPWATCH_SANITIZED" in os.environ:
    SEEDS, STEPS = range(1, 4), 10

# Seconds: what is edited after a build is newer than all that it has left. The clock of files stands still for a jiffy.
TICK = 0.01
MAX_RULES = 5  # In a row, of a project's makefile.
# Commands that need not come to rest: what they do differs each time.
RESTLESS = [">> ", "tee -a", "$$", "lib.a", "cp -p", "cp -a", "tar ", "touch", "mv ", "truncate", "notrunc", "$n+", "sort -o", " -i", '"a"']


class Fuzz(building.TestCase):
    def test_random_projects(self):
        broken = []
        for seed in SEEDS:
            try:
                self.one(seed)
            except AssertionError as error:
                broken.append(f"seed {seed}: {error}")
                print(broken[-1], flush=True)
        self.assertFalse(len(broken), f"{len(broken)} of {len(SEEDS)} seeds")

    def one(self, seed):
        for directory in (self.traced, self.twin):
            fuzzing.Project.drop(directory)
            os.mkdir(directory)
        project = fuzzing.Project(random.Random(seed), self)
        argv = None
        for number in range(STEPS):
            if number > 0:
                time.sleep(TICK)
                for _ in range(project.random.choice([0, 1, 1, 1, 2, 4])):
                    project.step()
            argv, environment = project.command()
            text = project.makefile if project.uses_make else project.script
            options = {"at_once": " | " in text, "env": {**self.world.env, **environment}}
            project.history.append(f"build {number}: {environment['WORD']} {' '.join(argv)}")
            try:
                self.build(argv, **options)
                if project.random.random() < 0.15:
                    self.settles(project, argv, options)
            except AssertionError as error:
                raise AssertionError(f"step {number}\n{text}\n" + "\n".join(project.history) + f"\n{error}") from None

    def settles(self, project, argv, options):
        project.history.append("the same, until it is quiet")
        for _ in range(MAX_RULES):
            before = self.comparable(self.twin)
            built = self.build(argv, **options)
            # Where a recipe fails make leaves what it half made, takes it for made the next time, and gets one rule further.
            # And what one run leaves may let the next do something else. Once it has found what it leaves, it is known.
            if built.result.status == 0 and self.comparable(self.twin) == before:
                break
        text = "" if project.uses_make else project.script
        # What has failed is not known to be done: of what it has copied the times count.
        restless = any(word in text for word in RESTLESS) or (built.result.status != 0 and ("cp " in text or "install" in text))
        # What is put back within one jiffy has one time, and cp has seen which was older: that may be so once.
        for _ in range(MAX_RULES):
            built = self.build(argv, **options)
            if built.nothing_ran() or restless or any(row.get("kept") for row in built.rows):
                return
        self.fail(f"ran although nothing had changed:\n{built}")


if __name__ == "__main__":
    harness.main()
