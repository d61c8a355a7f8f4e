#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Under systemd, with NVMe and NFS in use: ours installed over ktls-utils, upgraded, purged, ktls-utils back.
# init: systemd
# timeout: 300
# What test-deb --boot hands to a guest: the packages follow behind the last line.
. /opt/tests/vm/lib.sh
. /opt/tests/vm/nfs.sh

mkdir debs
sed '1,/^# packages$/d' "$0" | base64 -d | tar -C debs -x
deb() {
	note "dpkg $*"
	DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io "$@" </dev/null >>dpkg.log 2>&1 || { cat dpkg.log; fail "dpkg $*"; }
}
main_pid() { systemctl show -P MainPID tlshd; }
configuration() { if [[ -e /etc/tlshd.conf ]]; then echo /etc/tlshd.conf; else echo /etc/tlshd/config; fi; }
active() { [[ $(systemctl is-active tlshd) == active ]]; }

# serves DAEMON NUMBER: the connections from before carry data, and those that this daemon makes do: the
# NVMe subsystem of that number, and NFS after a cut.
serves() {
	local n
	wait_for 20 active || fail "$1 is not active"
	wait_for 20 listens "$(main_pid)" || fail "$1 does not listen"
	for ((n = 1; n < $2; n++)); do random_io "$(block_device "nqn.io-$n")" 1; done
	if mountpoint -q "$MOUNTS/tls"; then
		data_is_equal tls tls 64
		cut_nfs
	else
		nfs_mount tls server.test || { cat mount.log; fail "no mount with $1"; }
	fi
	data_is_equal tls tls 64
	connect "nqn.io-$2" || fail "no connection with $1"
	random_io "$(block_device "nqn.io-$2")" 1
}
# says PATTERN: our daemon has logged it
says() { journalctl --sync; journalctl -u tlshd -o cat >journal.log; contains journal.log "$1"; }

# The guest has ours without a package, and it must not be mistaken for what dpkg installs.
pristine_unit
systemctl stop tlshd tlshd-worker.socket tlshd-signer.socket 2>/dev/null || true
rm -rf /etc/tlshd /etc/tlshd.conf /usr/sbin/{tlshd,nvme-tls} /usr/lib/systemd/system/{tlshd,nvme-tls-}* \
	/usr/lib/sysusers.d/tlshd* /usr/lib/udev/rules.d/*nvme-tls*
for user in tlshd tlshd-signer; do userdel "$user"; done
systemctl daemon-reload

load_modules
good_certs
name_address server.test 127.0.0.1
start_nfsd
for n in 1 2 3 4; do
	insert_key "nqn.io-$n" >/dev/null
	start_target "nqn.io-$n" --disk $((n - 1))
done

deb -i debs/ktls-utils_*.deb
nfs_config used
cp used.conf "$(configuration)"
systemctl restart tlshd
serves ktls-utils 1

note "ours over it"
deb -i debs/now/*.deb
same "enabled" enabled "$(systemctl is-enabled tlshd)"
cmp used.conf "$(configuration)" || fail "the configuration is another one"
serves ours 2
says 'succeeded: cipher.*identity "NVMe1R01 .* nqn.io-2 '
says 'handshake with .*:2049 succeeded'

note "a newer version of ours"
before=$(main_pid)
deb -i debs/next/*.deb
[[ $(main_pid) != "$before" ]] || fail "the daemon is still that of the old package"
serves "the newer version" 3
says 'succeeded: cipher.*identity "NVMe1R01 .* nqn.io-3 '

note "purged"
deb -P tlshd nvme-tls
! active || fail "the daemon runs although its package is gone"
same "units that are left" "" "$(systemctl list-units --plain --no-legend 'tlshd*' --state=active,activating,running)"
for n in 1 2 3; do random_io "$(block_device "nqn.io-$n")" 1; done
data_is_equal tls tls 64

note "ktls-utils back"
cmp used.conf "$(configuration)" || fail "the configuration is another one"
deb -i debs/ktls-utils_*.deb
systemctl restart tlshd
serves "ktls-utils again" 4
lacks dpkg.log 'warning|error|fail|cannot'
exit 0
# packages
