"""Prints what the compiler sees of a source file: `preprocess.py compile_commands.json FILE`.

For the key of a remembered check: the command of the file, and the digests of the file and of every header of it.
"""
import hashlib
import json
import os
import shlex
import subprocess
import sys

database, wanted = sys.argv[1:]
for entry in json.load(open(database)):
    if entry["file"] != wanted:
        continue
    arguments = [a for a in shlex.split(entry["command"]) if not a.endswith("ccache")]
    output = arguments.index("-o")
    del arguments[output : output + 2]
    print(arguments)
    # -M names the headers without printing them: a tenth of the text of -E.
    rule = subprocess.run(arguments + ["-M"], cwd=entry["directory"], check=True, capture_output=True, text=True).stdout
    for name in sorted(set(rule.replace("\\\n", " ").split()[1:])):
        with open(os.path.join(entry["directory"], name), "rb") as header:
            print(name, hashlib.sha256(header.read()).hexdigest())
    break
else:
    sys.exit(f"{wanted} is not compiled")
