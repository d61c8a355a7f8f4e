# SPDX-License-Identifier: GPL-2.0-or-later
# The narrated connection of tests/demo; runs in the guest.
# shellcheck shell=bash
mkdir -p /tmp/demo
SCENARIO_DIR=/tmp/demo
cd /tmp/demo || exit 1
nqn=nqn.io-1
log=$SCENARIO_DIR/tlshd.log
shown=0

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; sleep 0.3; }
show() { printf '   $ %s\n' "$*"; "$@" 2>&1 | sed 's/^/   /'; }
new_log_lines() { tail -n "+$((shown + 1))" "$log" | sed 's/^/   /'; shown=$(wc -l <"$log"); }

step "This is Linux $(uname -r), $(. /etc/os-release && echo "$PRETTY_NAME"); nothing of the path below is simulated"
show tlshd --version

step "An NVMe target that takes TLS 1.3 only, on 127.0.0.1, with a RAM disk behind it"
start_target $nqn
show grep -H . "$NVMET"/ports/1/addr_{traddr,trsvcid,tsas,treq}

step "A key for this host and that subsystem, put into the kernel's keyring .nvme by nvme-cli"
insert_key $nqn | sed 's/^/   identity: /'

step "Our tlshd, waiting for the kernel to ask"
start_tlshd
new_log_lines
printf '   $ ps -o pid,user,args -p "$(pgrep -d, ^tlshd)"\n'
ps -o pid,user,args -p "$(pgrep -d, '^tlshd')" | sed 's/^/   /'

step "The host connects: an admin queue and two I/O queues, a handshake at each end of each"
printf '   $ nvme connect -t tcp -a 127.0.0.1 -s %s -n %s --tls\n' "$PORT" $nqn
connect $nqn 2>&1 | sed 's/^/   /'
device=$(block_device $nqn)
new_log_lines

step "The disk it got: $device. 16 MiB of random bytes are written, read back past the caches, and compared"
head -c 16M /dev/urandom >data
dd if=data of="$device" bs=256k oflag=direct status=none
dd if="$device" of=back bs=256k iflag=direct count=64 status=none
show sha256sum data back
cmp data back && echo "   they are equal"

step "The kernel's own count: six sessions, encrypted by kTLS in both directions, no error"
show grep -E 'Curr|Error' /proc/net/tls_stat
same "open kTLS sessions" 6 "$(tls_stat TlsCurrTxSw)"

step "The host disconnects"
disconnect $nqn
wait_for 10 eval '[[ $(tls_stat TlsCurrTxSw) == 0 ]]'
show grep Curr /proc/net/tls_stat
stop_tlshd
new_log_lines
stop_targets
step "That was it. More: tests/vm/README.md; a shell like this one: tests/vm/guest shell $GUEST"
