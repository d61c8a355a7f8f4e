#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes an empty ext2 of revision 0, for the guests have no mkfs: mkfs.py DEVICE MEGABYTES (128 at most)"""
import os, struct, sys, time

BLOCK, INODES, TABLE = 4096, 2048, 4
ROOT = TABLE + INODES * 128 // BLOCK # its block, the last one that is in use
blocks = int(sys.argv[2]) * 1048576 // BLOCK
now = int(time.time())

def bitmap(used, of):
    """Bits of what is in use, and of what does not exist."""
    bits = bytearray(b"\xff" * BLOCK)
    for i in range(used, of):
        bits[i // 8] &= ~(1 << i % 8)
    return bits

free_blocks, free_inodes = blocks - ROOT - 1, INODES - 10 # ten are reserved
superblock = struct.pack("<11I", INODES, blocks, 0, free_blocks, free_inodes, 0, 2, 2, BLOCK * 8, BLOCK * 8, INODES)
superblock += struct.pack("<IIHHHHHHIIII", 0, now, 0, 0xffff, 0xef53, 1, 1, 0, now, 0, 0, 0)
group = struct.pack("<IIIHHH", 2, 3, TABLE, free_blocks, free_inodes, 1)
root = struct.pack("<HHIIIIIHHIII", 0o40755, 0, BLOCK, now, now, now, 0, 0, 2, BLOCK // 512, 0, 0) + struct.pack("<I", ROOT)
entries = struct.pack("<IHH4s", 2, 12, 1, b".") + struct.pack("<IHH4s", 2, BLOCK - 12, 2, b"..")

with open(sys.argv[1], "r+b") as disk:
    for at, what in ((0, bytes((ROOT + 1) * BLOCK)), (1024, superblock), (BLOCK, group), (2 * BLOCK, bitmap(ROOT + 1, blocks)),
                     (3 * BLOCK, bitmap(10, INODES)), (TABLE * BLOCK + 128, root), (ROOT * BLOCK, entries)):
        disk.seek(at)
        disk.write(what)
    disk.flush()
    os.fsync(disk.fileno())
