"""`ocp-watch build` of programs that others wrote, step by step against plain make, and by ten sessions at once.

lua and zlib come from the sources that scripts/fetch_sources fetched.
"""
import json
import os
import re
import shutil
import subprocess
import threading

import building
import harness

SOURCES = os.path.join(harness.ROOT, "build/sources")
SESSIONS = 10
# Optimising is none of our business, and takes most of the time.
LUA = ["make", "-s", "-j2", "linux", "MYCFLAGS=-O0"]
COMPILERS = {"gcc", "cc1", "as", "collect2", "ld"}


@harness.once
class BuildReal(building.TestCase):
    def source(self, name):
        source = os.path.join(SOURCES, name)
        if not os.path.isdir(source):
            self.skipTest(f"the source of {name} was not fetched")
        self.each(lambda tree: shutil.copytree(source, tree, symlinks=True, dirs_exist_ok=True))

    def clean(self, *how):
        self.each(lambda tree: subprocess.run(["make", "-s", *how], cwd=tree, env=self.world.env, check=True,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def edit(self, name, line):
        def edit(tree):
            with open(os.path.join(tree, name), "a", encoding="ascii") as file:
                file.write(line)

        self.each(edit)

    def compiled(self, built):
        """The sources that a compiler proper ran for."""
        return sorted({word for argv in built.ran if os.path.basename(argv[0]) == "cc1" for word in argv if word.endswith(".c") and word != ".c"})

    def test_lua(self):
        self.source("lua")
        self.assertTrue(self.compiled(self.build(LUA)))
        self.assertTrue(self.build(LUA).nothing_ran())
        self.clean("clean")
        self.assertTrue(self.build(LUA).nothing_ran())
        self.edit("src/lapi.c", "int edited;\n")
        edited = self.build(LUA)
        self.assertEqual(["lapi.c"], self.compiled(edited), edited)
        self.clean("clean")
        self.assertFalse(self.compiled(self.build(LUA)))
        self.touch(*[os.path.join("src", name) for name in os.listdir(os.path.join(self.traced, "src")) if name[-2:] in (".c", ".h")])
        touched = self.build(LUA)
        self.assertFalse(COMPILERS & set(touched.ran_programs()), touched)
        self.edit("src/luaconf.h", "/* a comment */\n")
        everything = self.compiled(self.build(LUA))
        self.assertIn("lvm.c", everything)

    def test_zlib(self):
        self.source("zlib")
        # Its configure begins configure.log with the date.
        build = "./configure >/dev/null && make -s CFLAGS=-O0; status=$?; rm -f configure.log; exit $status"
        self.sh(build)
        self.sh(build)
        self.clean("distclean")
        cleaned = self.sh(build)
        self.assertFalse(self.compiled(cleaned), cleaned)
        self.clean("distclean")
        self.assertTrue(self.sh(build).nothing_ran())
        # configure lists the tree, in which the products are now: it learns that once.
        self.edit("inflate.c", "int edited;\n")
        self.sh(build)
        self.edit("inflate.c", "int again;\n")
        edited = self.sh(build)
        self.assertEqual(["inflate.c"], self.compiled(edited), edited)

    def at_once(self, trees):
        """Builds in each at the same time; (statuses, all rows of explain)."""
        statuses, rows = [], []

        def build(tree):
            name = self.world.new_name()
            got = self.world.run([harness.CLI, "build", "--name", name, "--", *LUA], cwd=tree, timeout=500)
            statuses.append(got.status)
            rows.extend(json.loads(self.world.cli("explain", name, "--json")).get("commands", []))

        threads = [threading.Thread(target=build, args=(tree,)) for tree in trees]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return statuses, building.Built(None, lambda: rows)

    def test_ten_sessions_build_ten_checkouts(self):
        self.source("lua")
        trees = [self.path(f"tree{number}") for number in range(SESSIONS)]
        for tree in trees:
            shutil.copytree(self.twin, tree, symlinks=True)
        self.world.run(LUA, cwd=self.twin, timeout=500)
        for step in ("first", "again", "clean"):
            if step == "clean":
                for tree in trees:
                    subprocess.run(["make", "-s", "clean"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
            statuses, built = self.at_once(trees)
            self.assertEqual([0] * SESSIONS, statuses, step)
            self.assertEqual(step != "first", built.nothing_ran(), f"{step}\n{built}")
            for tree in trees:
                self.assertEqual(harness.snapshot(self.twin), harness.snapshot(tree), step)

    def test_ten_sessions_build_one_checkout(self):
        """As with make itself an ar or a link may fail over what another just writes, and leave half an archive. But each
        source is compiled once, and what was learnt meanwhile is right."""
        self.source("lua")
        for step in ("first", "clean"):
            _, built = self.at_once([self.traced] * SESSIONS)
            compiled = [" ".join(argv) for argv in built.ran if os.path.basename(argv[0]) == "cc1"]
            self.assertEqual(sorted(set(compiled)), sorted(compiled), built)
            self.assertTrue(compiled if step == "first" else not compiled, built)
            self.clean("clean")
            for name in os.listdir(os.path.join(self.traced, "src")):
                if re.fullmatch(r"st\w{6}", name):  # Left by an ar that failed.
                    os.unlink(os.path.join(self.traced, "src", name))
        self.assertFalse(self.compiled(self.build(LUA)))


if __name__ == "__main__":
    harness.main()
