#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which folder may include which (the arrows of src/README.md), and that there is no circle; files on stdin."""
import re, sys

# A folder, and those whose headers it may include besides its own.
MAY = {
    "netlink": [],
    "common": [],
    "nvme-tls": ["common", "netlink"],
    "tlshd/shared": ["common", "netlink"],
    "tlshd/broker": ["tlshd/shared", "common", "netlink"],
    "tlshd/worker": ["tlshd/shared", "common", "netlink"],
    "tlshd/signer": ["tlshd/shared", "common"],
    "tlshd": ["tlshd/broker", "tlshd/worker", "tlshd/signer", "tlshd/shared", "common", "netlink"],
}
# The fork that makes a worker or a signer by hand.
EXCEPT = {("tlshd/broker/birth.c", "tlshd/worker/worker.h"), ("tlshd/broker/birth.c", "tlshd/signer/signer.h")}

def folder(path):
    return path.rsplit("/", 1)[0]

bad, includes = 0, {}
for name in sys.stdin.read().split():
    path = re.sub("^src/", "", name)
    for n, line in enumerate(open(name), 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not m:
            continue
        other = m[1] if "/" in m[1] else folder(path) + "/" + m[1]
        includes.setdefault(path, []).append(other)
        here, there = folder(path), folder(other)
        if here not in MAY:
            print("%s: nobody said what the folder %s may include (tests/lint-includes.py)" % (name, here))
            bad = 1
        elif here != there and there not in MAY[here] and (path, other) not in EXCEPT:
            print("%s:%d: %s may not include \"%s\"" % (name, n, here, other))
            bad = 1

def visit(path, way):
    global bad
    if path in way:
        print("a circle: " + " -> ".join(way[way.index(path):] + [path]))
        bad = 1
    elif path not in seen:
        for other in includes.get(path, []):
            visit(other, way + [path])
        seen.add(path)

seen = set()
for path in list(includes):
    visit(path, [])

# Two files whose functions call each other are one file in two pieces.
calls = {(path[:-2], other[:-2]) for path in includes if path.endswith(".c") for other in includes[path]}
for a, b in sorted(calls):
    if a < b and (b, a) in calls:
        print("a circle: %s.c and %s.c include each other's headers" % (a, b))
        bad = 1
sys.exit(bad)
