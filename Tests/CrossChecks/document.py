"""Does what docs/pytorch.md says, word for word, in a folder.

Arguments: the folder, the document, nap, an exporter (`dynamo` or `script`), a network of torchvision, and what nap is
told besides.
"""

import contextlib
import os
import re
import subprocess
import sys
import warnings

folder, document, nap, exporter, network, *options = sys.argv[1:]
blocks = re.findall(r"^```(\w+) ?(\w*)\n(.*?)^```$", open(document).read(), re.MULTILINE | re.DOTALL)
os.chdir(folder)
warnings.filterwarnings("ignore")
names = {"__name__": "__main__"}
ran = 0
for language, which, text in blocks:
    if language == "sh":
        for line in text.splitlines():
            command, *arguments = line.split()
            assert command == "nap", line
            subprocess.run([nap, *arguments, *options], check=True, stdout=subprocess.DEVNULL)
    elif which in ("", exporter):
        with contextlib.redirect_stdout(sys.stderr):
            exec(text.replace("resnet18", network), names)
    ran += 1
print(f"{network}, {exporter}: {ran} blocks, {names['difference']:.1g}")
