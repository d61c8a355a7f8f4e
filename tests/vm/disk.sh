# SPDX-License-Identifier: GPL-2.0-or-later
# For scenarios: a daemon whose program and libraries are on a disk that it serves itself.
# shellcheck shell=bash

AWAY=10.9.0.2 DISK=/mnt

# make_disk: mounted at $DISK, it has the daemon's program, its libraries and whatever they read. The daemon
# "first" has connected it, and goes on until the one on the disk takes over: a slow guest may lose the disk
# before that. The daemon "target" is in a namespace of its own.
make_disk() {
	local file
	# The host is in the first namespace, for there the kernel connects again.
	load_modules
	ip netns add target
	ip link add h0 type veth peer name t0 netns target
	ip addr add 10.9.0.1/24 dev h0
	ip -n target addr add $AWAY/24 dev t0
	ip link set h0 up
	ip -n target link set t0 up
	ip -n target link set lo up
	insert_key nqn.io-1
	start_tlshd --netns target --name target
	start_tlshd --name first
	start_target nqn.io-1 --netns target --addr $AWAY
	connect nqn.io-1 --addr $AWAY --keep-alive-tmo=2 --reconnect-delay=1 --ctrl-loss-tmo=1800
	CONTROLLER=$(controllers nqn.io-1)

	python3 /opt/tests/vm/mkfs.py "$(block_device nqn.io-1)" 64
	mount "$(block_device nqn.io-1)" $DISK
	mkdir -p $DISK/{dev,proc,run,etc,tmp}
	for file in $(ldd /usr/sbin/tlshd | grep -oE '/[^ ]+') /usr/sbin/tlshd /usr/lib/*/gconv/gconv-modules.cache; do
		install -D "$file" "$DISK$file"
	done
	cp /etc/passwd /etc/group $DISK/etc/
	printf '[debug]\nloglevel=1\n[authenticate]\nkeyrings=.nvme\n' >$DISK/disk.conf
	head -c 1M /dev/urandom >data
	cp data $DISK/data
	mount -o remount,ro $DISK
	forget
}

# leave_disk: when its daemon has been stopped; workers of systemd's may take a moment longer
leave_disk() {
	wait_for 15 umount -R $DISK || fail "the disk is still in use"
	disconnect nqn.io-1
}

# First the connection, for as long as it is about to come back, whoever reads from the disk waits.
drop_disk() {
	ip link set h0 up 2>/dev/null || true
	nvme disconnect -n nqn.io-1 >/dev/null || true
	umount -R $DISK 2>/dev/null || true
	ip netns del target || true
	ip link del h0 2>/dev/null || true
}

# Memory that could be read again is given up. A page that is in use goes only for want of memory, in the group
# of who has read it.
forget() {
	local group
	for group in /sys/fs/cgroup/*/memory.reclaim /sys/fs/cgroup/*/memory.reclaim; do
		echo 256M >"$group" || true
	done 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
}

# stays_in_memory PROCESS...: nothing of their files is left on the disk, and what is there is locked
stays_in_memory() {
	local process
	for process in "$@"; do
		at_least "kB locked in memory, of process $process" 4000 "$(awk '/^VmLck/ { print $2 }' "/proc/$process/status")"
		same "what process $process has not read from the disk" "" "$(awk '
			/^[0-9a-f]+-/ { file = $5 && $2 ~ /^r..p/; name = $6 }
			/^Size:/ { size = $2 }
			/^Rss:/ && file && $2 < size { print name, size - $2 }' "/proc/$process/smaps")"
		note "$(grep -E '^(Name|VmLck|VmRSS|RssAnon|RssFile)' "/proc/$process/status" | xargs)"
	done
}

succeeded() { grep -c 'client handshake .* succeeded' tlshd.log || true; }
is_state() { [[ $(<"/sys/class/nvme/$CONTROLLER/state") == "$1" ]]; }
has_died() { [[ ! -e /proc/$1 ]]; }
kill_workers() {
	local worker
	for worker in "$@"; do kill -KILL "$worker"; done
	for worker in "$@"; do wait_for 10 has_died "$worker" || fail "a worker cannot be killed"; done
}

# lose COMMAND...: the disk is lost, COMMAND is run, and the disk comes back
lose() {
	local before
	before=$(succeeded)
	ip link set h0 down
	wait_for 30 is_state connecting || fail "the loss of the link goes unnoticed"
	forget
	"$@"
	ip link set h0 up
	wait_for 60 is_state live || fail "the disk does not come back"
	dd if=$DISK/data iflag=direct bs=64k status=none | cmp - data || fail "the disk has other data"
	at_least "handshakes of the host" $((before + 3)) "$(succeeded)"
}
