#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Under systemd, with NVMe and NFS in use: ours installed over ktls-utils, upgraded while peers connect, purged,
# ktls-utils back.
# init: systemd
# timeout: 400
# What test-deb --boot hands to a guest: the packages follow behind the last line.
# shellcheck disable=SC2317 # wait_for calls functions by their names
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
	# Of Type=notify it listens when it is active, on a socket that names the daemon which opened it.
	[[ $(systemctl show -P Type tlshd) == notify ]] || wait_for 20 listens "$(main_pid)" || fail "$1 does not listen"
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

# load: peers that connect one after the other, 8 at a time, which is fewer than the kernel queues, until there
# is a file "enough"; load.txt gets a line for every 40 of them.
load() {
	until [[ -e enough ]]; do
		/opt/tests/bin/storm --identity "$identity" --sources 4 --settle 0 -n 40 -c 8
	done >load.txt
}
# more: the load has gone on for two lines
more() {
	local lines
	lines=$(wc -l <load.txt)
	reached() { (($(wc -l <load.txt) >= lines + 2)); }
	wait_for 40 reached || fail "the load does not go on: $(tail -1 load.txt)"
}
# of_load NUMBER: the sum of its lines
of_load() { grep -oP " $1=\K\d+" load.txt | awk '{ sum += $1 } END { print sum + 0 }'; }
# The connections of the kernel's host and of NFS, by their ports; the load has other source addresses.
standing() { ss -tnH state established "src 127.0.0.1 and ( dport = :$PORT or dport = :2049 )" | awk '{ print $3, $4 }' | sort; }
# is_installed PID: the process runs the program that is installed now
is_installed() { cmp -s "/proc/$1/exe" /usr/sbin/tlshd; }
workers_are_installed() {
	local pid
	main_pid >tlshd.pid
	has_workers tlshd || return 1
	for pid in $(workers); do is_installed "$pid" || return 1; done
}

# The guest has ours without a package, and it must not be mistaken for what dpkg installs.
pristine_unit
systemctl stop tlshd tlshd-worker.socket tlshd-signer.socket 2>/dev/null || true
rm -rf /etc/tlshd /etc/tlshd.conf /usr/sbin/{tlshd,nvme-tls} /usr/lib/systemd/system/{tlshd,nvme-tls-}* \
	/usr/lib/sysusers.d/tlshd* /usr/lib/udev/rules.d/*nvme-tls*
for user in tlshd tlshd-signer; do userdel "$user"; done
systemctl daemon-reload

load_modules
grant 20
good_certs
name_address server.test 127.0.0.1
start_nfsd
for n in 1 2 3 4; do
	identity=$(insert_key "nqn.io-$n")
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

note "a newer version of ours, while peers connect"
STORM_KEY=$(key_bytes "$identity")
export STORM_KEY
before=$(main_pid)
is_installed "$before" || fail "ours is not what runs"
standing >standing.before
mark_journal
load &
load=$!
wait_for 40 test -s load.txt || fail "no load"
deb --unpack debs/next/*.deb
more # the old daemon, the new files, as in an upgrade of many packages
! is_installed "$before" || fail "the newer version has the same program"
deb --configure tlshd nvme-tls
[[ $(main_pid) != "$before" ]] || fail "the daemon is still that of the old package"
more
touch enough
wait "$load"
journal tlshd >upgrade.log
note "$(of_load completed) of $(of_load connections) handshakes of the load completed"
grep -v ' failed=0 ' load.txt || true
same "handshakes of the load that failed" 0 "$(of_load failed)"
same "handshakes of the load that completed" "$(of_load connections)" "$(of_load completed)"
lacks upgrade.log 'handshake with .* failed'
standing >standing.after
cmp standing.before standing.after || fail "standing connections: $(diff standing.before standing.after)"
is_installed "$(main_pid)" || fail "the daemon is not the program that is installed"
wait_for 30 workers_are_installed || fail "workers are not of the newer version"
version=$(/usr/sbin/tlshd --version | sed -E 's/^tlshd ([^,]*),.*/\1/')
same "the package's version" "$(dpkg-query -W -f '${Version}' tlshd | tr '~' -)" "$version-1"
same "the version that runs" "$version" "$(nvme-tls status --json | jq -r .build | cut -d' ' -f1)"
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
lacks dpkg.log 'warning|error|fail|cannot|Could not'
exit 0
# packages
