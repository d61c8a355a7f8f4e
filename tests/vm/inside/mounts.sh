# SPDX-License-Identifier: GPL-2.0-or-later
# What systemd would have mounted, for the boots that have a script in its place.
# shellcheck shell=bash

export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 TERM=${TERM:-linux}

mount_all() {
	mount -t sysfs sysfs /sys
	mount -t tmpfs -o mode=755 tmpfs /run
	mount -t tmpfs tmpfs /tmp
	mkdir -p /dev/pts /dev/shm /run/lock /run/netns
	mount -t devpts devpts /dev/pts
	mount -t tmpfs tmpfs /dev/shm
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount -t tracefs tracefs /sys/kernel/tracing
	hostname "$(cat /etc/hostname)"
	ip link set lo up
}

# The way out to the host: the one virtio port.
port() { echo /dev/vport*p1; }
