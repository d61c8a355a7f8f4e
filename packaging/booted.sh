#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Under systemd, with connections: ours installed over ktls-utils, upgraded, removed, ktls-utils back.
# init: systemd
# timeout: 240
# What test-deb --boot hands to a guest: the packages follow behind the last line.
. /opt/tests/vm/lib.sh

pristine_unit
mkdir debs
sed '1,/^# packages$/d' "$0" | base64 -d | tar -C debs -x
deb() { DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io "$@" </dev/null >>dpkg.log 2>&1 || { cat dpkg.log; fail "dpkg $*"; }; }
main_pid() { systemctl show -P MainPID tlshd; }
# One with each daemon, and what was connected before it goes on.
works() {
	connect "$1" || fail "no connection to $1, $2"
	for disk in "${@:3}" "$1"; do random_io "$(block_device "$disk")" 1; done
}

load_modules
for n in 1 2 3 4; do
	insert_key "nqn.io-$n" >/dev/null
	start_target "nqn.io-$n" --disk $((n - 1))
done
# The guest has ours without a package: what dpkg puts there counts.
systemctl stop tlshd tlshd-worker.socket 2>/dev/null || true
rm -rf /etc/tlshd /etc/tlshd.conf

note "ktls-utils"
deb -i debs/ktls-utils_*.deb
systemctl start tlshd
wait_for 20 listens "$(main_pid)" || fail "ktls-utils does not listen"
works nqn.io-1 "with ktls-utils"

note "ours over it"
deb -i debs/now/*.deb
same "the daemon" active "$(systemctl is-active tlshd)"
same "enabled" enabled "$(systemctl is-enabled tlshd)"
works nqn.io-2 "with ours" nqn.io-1
journalctl --sync
journalctl -u tlshd -o cat >journal.log
contains journal.log 'succeeded: cipher.*identity "NVMe0R01 .* nqn.io-2'
before=$(main_pid)

note "an upgrade restarts it"
deb -i debs/next/*.deb
same "the daemon" active "$(systemctl is-active tlshd)"
[[ $(main_pid) != "$before" ]] || fail "the daemon is still that of the old package"
works nqn.io-3 "with the next version" nqn.io-1 nqn.io-2

note "removed, and ktls-utils back"
deb -r tlshd nvme-tls
[[ $(systemctl is-active tlshd) != active ]] || fail "the daemon runs although its package is gone"
[[ ! $(systemctl list-units --plain --no-legend 'tlshd-*' --state=active,activating,running) ]] || fail "units of tlshd are left"
deb -i debs/ktls-utils_*.deb
systemctl start tlshd
wait_for 20 listens "$(main_pid)" || fail "ktls-utils does not listen"
works nqn.io-4 "with ktls-utils again" nqn.io-1 nqn.io-2 nqn.io-3
lacks dpkg.log 'warning|error|fail|cannot'
exit 0
# packages
