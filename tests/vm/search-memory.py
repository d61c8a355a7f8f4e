#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""search-memory.py HEX PID...: where in these processes' memory the bytes are; fails if anywhere."""
import sys

needle, found = bytes.fromhex(sys.argv[1]), 0
for pid in sys.argv[2:]:
    searched = 0
    with open("/proc/%s/maps" % pid) as maps, open("/proc/%s/mem" % pid, "rb", 0) as memory:
        for line in maps:
            words = line.split()
            start, end = (int(x, 16) for x in words[0].split("-"))
            if "w" not in words[1]:
                continue
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except OSError:
                continue
            searched += len(data)
            at = data.find(needle)
            while at >= 0:
                found += 1
                print("process %s: found at %x in %s" % (pid, start + at, " ".join(words[5:]) or "anonymous memory"))
                at = data.find(needle, at + 1)
    print("process %s: %d KiB searched" % (pid, searched // 1024))
sys.exit(1 if found else 0)
