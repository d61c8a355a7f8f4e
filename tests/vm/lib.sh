# SPDX-License-Identifier: GPL-2.0-or-later
# What scenarios share, inside a guest: the daemon, the target, keys, connections, assertions.
# shellcheck shell=bash

set -euo pipefail
# shellcheck source=pace.sh
. "$(dirname "${BASH_SOURCE[0]}")/pace.sh"

: "${PACE:=100}" "${TLSHD:=ours}" "${SCENARIO_DIR:=/tmp}" "${SANITIZE:=}" "${GUEST:=}" "${INIT:=}"
HOSTNQN=nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36
HOSTID=befdec4c-2234-11b2-a85c-ca77c773af36
PORT=4420
CONFIGFS=/sys/kernel/config
NVMET=$CONFIGFS/nvmet
# Leaks are looked for where a process ends by itself; a worker may not use ptrace for it.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:handle_abort=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

trap 'echo "*** line $LINENO of ${BASH_SOURCE[0]##*/}: $BASH_COMMAND" >&2' ERR

# --- assertions

fail() { echo "*** $*" >&2; trap - ERR; exit 1; }
note() { echo "--- $*" >&2; }

# same WHAT EXPECTED GOT
same() { [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"; }
# at_least WHAT LIMIT GOT
at_least() { (($3 >= $2)) || fail "$1: expected at least $2, got $3"; }
# contains FILE EXTENDED-REGEX
contains() {
	grep -qE -- "$2" "$1" || { echo "--- $1 has:" >&2; cat "$1" >&2; fail "no line of $1 matches '$2'"; }
}
lacks() { ! grep -E -- "$2" "$1" >&2 || fail "$1 has lines that match '$2'"; }
# refused COMMAND...: it must fail
refused() { ! "$@" || fail "this was to fail and did not: $*"; }
# pause MILLISECONDS: without a process for it, for which an emulated CPU works ten
pause() {
	local _seconds
	printf -v _seconds %d.%03d $(($1 / 1000)) $(($1 % 1000))
	if [[ -p /run/pause ]] || mkfifo /run/pause 2>/dev/null; then
		read -rt "$_seconds" <>/run/pause || true
	else
		sleep "$_seconds"
	fi
}
# wait_for SECONDS COMMAND...: until it succeeds; the longer that takes the less often it is tried, up to
# a quarter of a second. SECONDS are an idle machine's, see patience(); when they are over the pace is
# measured again, for the machine may have got busy since.
wait_for() {
	local _seconds=$1 _start _pace _rest=50
	shift
	now
	_start=$NOW
	until "$@" >/dev/null 2>&1; do
		now
		while ((NOW - _start >= _seconds * 2 * PACE)); do
			_pace=$PACE
			measure_pace
			((PACE > _pace)) || { PACE=$_pace; return 1; }
		done
		pause $_rest
		((_rest >= 250)) || _rest=$((_rest * 5 / 4))
	done
}
# within SECONDS COMMAND...: it is ended after so many seconds of an idle machine
within() { timeout "$(patience "$1")" "${@:2}"; }

# send_away PROCESS: peers that wait; they end by themselves when the target has dropped the last one
send_away() { kill -TERM "$1" 2>/dev/null || true; }

# in_ns NETNS COMMAND...; the name "" is where we are
in_ns() {
	local ns=$1
	shift
	if [[ $ns ]]; then nsenter --net="/run/netns/$ns" "$@"; else "$@"; fi
}

# --- the daemon

tlshd_program() {
	case $TLSHD in
	ours) echo /usr/sbin/tlshd ;;
	*) echo "/opt/$TLSHD/usr/sbin/tlshd" ;;
	esac
}

# Where systemd is init it starts the daemon, by the unit that is installed; not so a program that is
# not the installed one, and not what a sanitizer is built into, which does not live under the unit.
by_unit() { [[ $INIT == systemd* && ! $SANITIZE && $(tlshd_program) == /usr/sbin/tlshd ]]; }

# start_tlshd [--netns NS] [--name NAME] [--config FILE] [--loglevel N]
# Its log is $SCENARIO_DIR/NAME.log, its process number in $SCENARIO_DIR/NAME.pid.
start_tlshd() {
	local ns='' name=tlshd config='' level=0 pid
	[[ $TLSHD == ours ]] || level=1
	while (($#)); do
		case $1 in
		--netns) ns=$2 ;;
		--name) name=$2 ;;
		--config) config=$2 ;;
		--loglevel) level=$2 ;;
		*) fail "start_tlshd: $1?" ;;
		esac
		shift 2
	done
	if [[ ! $config ]]; then
		config=$SCENARIO_DIR/$name.conf
		printf '[debug]\nloglevel=%s\ntls=%s\nnl=0\n[authenticate]\nkeyrings=.nvme\n' "$level" 0 >"$config"
	fi
	if by_unit; then
		start_unit "$name" "$config" "$ns"
		return
	fi
	[[ $TLSHD == ours ]] || modprobe -q nvme-keyring || true
	local enter=()
	[[ ! $ns ]] || enter=(nsenter "--net=/run/netns/$ns")
	"${enter[@]}" "$(tlshd_program)" -s -c "$config" >>"$SCENARIO_DIR/$name.log" 2>&1 </dev/null &
	pid=$!
	echo $pid >"$SCENARIO_DIR/$name.pid"
	wait_for 20 listens "$pid" || { cat "$SCENARIO_DIR/$name.log" >&2; fail "$name did not begin to listen"; }
	[[ $TLSHD != ours ]] || wait_for 30 has_workers "$name" "$(sed -nE 's/^workers=//p' "$config")" || fail "$name has no workers"
}

# start_unit NAME CONFIG NETNS: the unit as it is, but for where its files are; one that has another
# name is a copy of it.
start_unit() {
	local name=$1 config=$2 ns=$3 units=/run/systemd/system changes
	changes=$units/$name.service.d/scenario.conf
	mkdir -p "${changes%/*}"
	[[ $name == tlshd ]] || cp /usr/lib/systemd/system/tlshd.service "$units/$name.service"
	cat >"$SCENARIO_DIR/$name.unit" <<-END
	[Unit]
	StartLimitIntervalSec=0
	[Service]
	ExecStart=
	ExecStart=$(tlshd_program) -s -c $(realpath "$config")
	StandardError=append:$SCENARIO_DIR/$name.log
	BindReadOnlyPaths=$SCENARIO_DIR
	${ns:+NetworkNamespacePath=/run/netns/$ns}
	Restart=no
	END
	if ! cmp -s "$SCENARIO_DIR/$name.unit" "$changes"; then
		cp "$SCENARIO_DIR/$name.unit" "$changes"
		systemctl daemon-reload
	fi
	systemctl start "$name" || { cat "$SCENARIO_DIR/$name.log" >&2; fail "the unit $name does not start"; }
	systemctl show -p MainPID --value "$name" >"$SCENARIO_DIR/$name.pid"
	wait_for 30 has_workers "$name" "$(sed -nE 's/^workers=//p' "$config")" || fail "$name has no workers"
}
has_workers() { (($(workers "$1" | wc -l) == ${2:-$(nproc)})); }

# mark_journal: what comes after this is what `journal` prints. One boot serves many scenarios, and the
# journal still has what the others provoked.
mark_journal() {
	journalctl --sync
	JOURNAL_MARK=$(journalctl -q -n 0 --show-cursor | sed -n 's/^-- cursor: //p')
}
# journal UNIT [OPTION...]: what the unit has said since mark_journal
journal() { journalctl --sync; journalctl -q -u "$1" -o cat --after-cursor="$JOURNAL_MARK" "${@:2}"; }

# The changes to tlshd.service stay, for to reload takes seconds, and the next scenario mostly wants the
# same ones; a scenario that starts the unit itself begins with pristine_unit.
stop_units() {
	local path unit reload=''
	for path in /run/systemd/system/*.service.d/scenario.conf; do
		[[ -e $path ]] || continue
		unit=${path%.d/*} unit=${unit##*/}
		systemctl kill --signal=KILL "$unit" 2>/dev/null || true
		systemctl stop "$unit" || true
		[[ $unit != tlshd.service ]] || continue
		rm -r "${path%/*}"
		rm -f "/run/systemd/system/$unit"
		reload=1
	done
	[[ ! $reload ]] || systemctl daemon-reload
	systemctl reset-failed
}

pristine_unit() {
	[[ -d /run/systemd/system/tlshd.service.d ]] || return 0
	rm -r /run/systemd/system/tlshd.service.d
	systemctl daemon-reload
}

# The process is in a generic netlink multicast group: the kernel sees a handler.
listens() {
	kill -0 "$1" || return 1
	awk -v p="$1" '$2 == 16 && $3 % 4194304 == p && $4 != "00000000" { found = 1 } END { exit !found }' \
		"/proc/$1/net/netlink"
}

tlshd_pid() { cat "$SCENARIO_DIR/${1:-tlshd}.pid"; }

# workers [NAME]: their process numbers, which are those at the other ends of the broker's sockets; a signer and a
# reader are none. systemd has a copy of each of these, and the other end of one.
workers() {
	local pid
	pid=$(tlshd_pid "$@")
	nsenter "--net=/proc/$pid/ns/net" ss -xnpH | awk -v broker="$pid" '
		$1 != "u_seq" || !/pid=/ { next } # one on its way has no owner yet
		/"tlshd-signer"|"\(tlshd-reader\)"/ { next }
		index($0, "pid=" broker ",") { other[$8] = 1; next }
		{ pid = $0; sub(/.*pid=/, "", pid); sub(/[^0-9].*/, "", pid) }
		pid != 1 { at[$6] = pid }
		END { for (inode in at) if (inode in other) print at[inode] }' | sort -n
}

# connections PID: of the target's, those that this process holds
connections() { ss -tnpH state established "sport = :$PORT" | grep -c "pid=$1," || true; }
holds() { (($(connections "$1") == $2)); }
# holders [NAME]: the processes that hold any, other than the broker
holders() {
	ss -tnpH state established "sport = :$PORT" | grep -oE 'pid=[0-9]+' | cut -d= -f2 |
		grep -vx "$(tlshd_pid "$@")" | sort -u
}

# stop_tlshd [NAME]: SIGTERM, and then it must be gone
stop_tlshd() {
	local name=${1:-tlshd} pid
	pid=$(tlshd_pid "$name")
	kill -TERM "$pid"
	wait_for 15 gone "$pid" || fail "$name does not end on SIGTERM"
	rm "$SCENARIO_DIR/$name.pid"
}
gone() { [[ ! -e /proc/$1 || $(awk '/^State/ { print $2 }' "/proc/$1/status") == Z ]]; }

# --- keys

load_modules() {
	load_nvme
	[[ -d $NVMET ]] || mount -t configfs configfs $CONFIGFS
	[[ -b /dev/ram0 ]] || modprobe brd rd_nr=4 rd_size=65536
	[[ -e $GRANTED ]] || grant 10
}

load_nvme() { [[ -d /sys/module/nvme_tcp && -d /sys/module/nvmet_tcp ]] || modprobe -a nvme-tcp nvmet-tcp; }

# udev_has_acted: the rules for the modules that are loaded have been run, and so has the service they start
udev_has_acted() {
	local module
	udevadm settle
	for module in nvme_tcp nvmet_tcp; do
		[[ ! -e /sys/module/$module || $(systemctl is-active "sys-module-$module.device") == active ]] || return 1
	done
	[[ $(systemctl is-active nvme-tls-keys) != activating && ! $(systemctl list-jobs --no-legend 'nvme-tls-keys*') ]]
}

# grant SECONDS: what host and target give a handshake from now on, at this guest's pace; the next
# scenario begins with the kernel's own 10 s again.
GRANTED=/run/tls_handshake_timeout
grant() {
	at_pace "$1" >$GRANTED
	load_nvme
	tee /sys/module/nvme_tcp/parameters/tls_handshake_timeout \
		/sys/module/nvmet_tcp/parameters/tls_handshake_timeout <$GRANTED >/dev/null
}

# What a killed daemon had is ended by the target's own timer. The kernel (6.12, 7.2) crashes if that runs when
# nvmet_tcp has been unloaded, so clean_up notes when the last one has run.
TIMERS=/run/target_timers_end
note_timers() {
	[[ -e $GRANTED && $(ss -tnH state established state close-wait "sport = :$PORT") ]] || return 0
	now
	local end=$((NOW + $(<$GRANTED) * 120))
	[[ -e $TIMERS ]] && (($(<$TIMERS) > end)) || echo $end >$TIMERS
}
wait_for_timers() { [[ ! -e $TIMERS ]] || until now && ((NOW >= $(<$TIMERS))); do sleep 0.5; done; }

# unload_modules: as if nobody had wanted NVMe yet, where the kernel has it as modules
unload_modules() {
	wait_for_timers
	rm -f $GRANTED
	wait_for 10 modprobe -r nvmet-tcp nvme-tcp nvmet nvme-fabrics nvme-core nvme-auth nvme-keyring || { lsmod >&2; fail "the modules cannot be removed"; }
}

# insert_key SUBSYSNQN [--hostnqn NQN] [--hmac 1|2] [--identity 0|1] [--secret HEX]
# Prints the identity of the key it put into .nvme by nvme-cli.
insert_key() {
	local nqn=$1 host=$HOSTNQN hmac=1 version=1 secret=
	shift
	while (($#)); do
		case $1 in
		--hostnqn) host=$2 ;;
		--hmac) hmac=$2 ;;
		--identity) version=$2 ;;
		--secret) secret=$2 ;;
		*) fail "insert_key: $1?" ;;
		esac
		shift 2
	done
	[[ $secret ]] || secret=$(random_hex $((hmac == 2 ? 48 : 32)))
	nvme gen-tls-key --insert --keyring=.nvme --hostnqn="$host" --subsysnqn="$nqn" \
		--hmac="$hmac" --identity="$version" --secret="$secret" >"$SCENARIO_DIR/gen-tls-key" 2>&1 ||
		{ cat "$SCENARIO_DIR/gen-tls-key" >&2; fail "nvme gen-tls-key failed"; }
	key_descriptions | grep -F " $host $nqn" | grep -E "^NVMe${version}R0${hmac} .* ${nqn}( |$)" | tail -1
}

random_hex() { od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }

# A revoked one may be listed for minutes beside the one that came in its place.
nvme_keyring() { awk '$8 == "keyring" && $9 == ".nvme:" && $2 !~ /R/ { print "0x" $1; exit }' /proc/keys; }

# One line for each key of .nvme: serial and description. Revoked keys are passed over.
list_keys() {
	local serial description
	for serial in $(keyctl rlist "$(nvme_keyring)" 2>/dev/null); do
		description=$(keyctl rdescribe "$serial" 2>/dev/null) || continue
		echo "$serial $(cut -d';' -f5- <<<"$description")"
	done
}
key_descriptions() { list_keys | cut -d' ' -f2-; }

# key_serial IDENTITY
key_serial() {
	list_keys | awk -v id="$1" '{ serial = $1; sub(/^[0-9]+ /, ""); if ($0 == id) { print serial; found = 1; exit } } END { exit !found }' ||
		fail "no key for the identity '$1'"
}

# key_bytes IDENTITY: in hexadecimal
key_bytes() {
	keyctl session - sh -c "keyctl link $(nvme_keyring) @s && keyctl pipe $(key_serial "$1")" 2>/dev/null |
		od -An -v -tx1 | tr -d ' \n'
}

# add_key IDENTITY HEX: a key that nvme-cli would not make
add_key() {
	printf '%b' "$(sed 's/../\\x&/g' <<<"$2")" | keyctl padd psk "$1" "$(nvme_keyring)"
}

# --- the target

# start_target NQN [--host NQN|any] [--disk N|file] [--addr A] [--port P] [--tsas T] [--id N] [--netns NS]
start_target() {
	local nqn=$1 host=$HOSTNQN disk=0 addr=127.0.0.1 port=$PORT tsas=tls1.3 treq=required id=1 ns=''
	shift
	while (($#)); do
		case $1 in
		--host) host=$2 ;;
		--disk) disk=$2 ;;
		--addr) addr=$2 ;;
		--port) port=$2 ;;
		--tsas) tsas=$2 ;;
		--treq) treq=$2 ;;
		--id) id=$2 ;;
		--netns) ns=$2 ;;
		*) fail "start_target: $1?" ;;
		esac
		shift 2
	done
	load_modules
	local sub=$NVMET/subsystems/$nqn at=$NVMET/ports/$id
	mkdir "$sub" "$sub/namespaces/1"
	if [[ $host == any ]]; then
		echo 1 >"$sub/attr_allow_any_host"
	else
		[[ -e $NVMET/hosts/$host ]] || mkdir "$NVMET/hosts/$host"
		ln -s "$NVMET/hosts/$host" "$sub/allowed_hosts/$host"
	fi
	if [[ $disk == file ]]; then
		disk=$SCENARIO_DIR/$id.img
		truncate -s 64M "$disk"
	else
		disk=/dev/ram$disk
	fi
	echo "$disk" >"$sub/namespaces/1/device_path"
	echo 1 >"$sub/namespaces/1/enable"
	if [[ ! -e $at ]]; then
		mkdir "$at"
		echo tcp >"$at/addr_trtype"
		if [[ $addr == *:* ]]; then echo ipv6; else echo ipv4; fi >"$at/addr_adrfam"
		echo "$addr" >"$at/addr_traddr"
		echo "$port" >"$at/addr_trsvcid"
		if [[ $tsas != none ]]; then
			echo "$tsas" >"$at/addr_tsas"
			echo "$treq" >"$at/addr_treq"
		fi
	fi
	in_ns "$ns" ln -s "$sub" "$at/subsystems/$nqn"
}

stop_targets() {
	local path
	[[ -d $NVMET ]] || return 0
	for path in "$NVMET"/ports/*/subsystems/*; do [[ ! -L $path ]] || rm "$path"; done
	for path in "$NVMET"/ports/*/referrals/* "$NVMET"/ports/*/ana_groups/[2-9]* "$NVMET"/ports/*; do
		[[ ! -d $path ]] || rmdir "$path"
	done
	for path in "$NVMET"/subsystems/*/allowed_hosts/*; do [[ ! -L $path ]] || rm "$path"; done
	for path in "$NVMET"/subsystems/*/namespaces/* "$NVMET"/subsystems/* "$NVMET"/hosts/*; do
		[[ ! -d $path ]] || rmdir "$path"
	done
}

# --- the host

# connect NQN [--netns NS] [--addr A] [nvme-cli options...]
connect() {
	local nqn=$1 ns='' addr=127.0.0.1
	shift
	while (($#)); do
		case $1 in
		--netns) ns=$2; shift 2 ;;
		--addr) addr=$2; shift 2 ;;
		*) break ;;
		esac
	done
	load_modules
	in_ns "$ns" nvme connect -t tcp -a "$addr" -s $PORT -n "$nqn" \
		--hostnqn="$HOSTNQN" --hostid="$HOSTID" --tls --nr-io-queues=2 \
		--ctrl-loss-tmo=20 --reconnect-delay=2 "$@"
}

# The controllers (nvme0 ...) of a subsystem.
controllers() {
	local path
	for path in /sys/class/nvme/nvme*; do
		[[ -e $path/subsysnqn && $(<"$path/subsysnqn") == "$1" ]] && echo "${path##*/}"
	done
	return 0
}

# The block device of a subsystem's namespace 1, waited for.
block_device() {
	wait_for 10 find_block_device "$1" || fail "no block device for $1 after 10 s"
	find_block_device "$1"
}
find_block_device() {
	local nqn path
	for nqn in /sys/class/nvme-subsystem/*/subsysnqn; do
		[[ -e $nqn && $(<"$nqn") == "$1" ]] || continue
		for path in "${nqn%/*}"/nvme*n1; do
			path=/dev/${path##*/}
			[[ -b $path ]] && echo "$path" && return
		done
	done
	return 1
}

disconnect() { nvme disconnect -n "$1" >/dev/null; wait_for 20 no_controllers "$1" || fail "$1 is still connected"; }
no_controllers() { [[ ! $(controllers "$1") ]]; }

# random_io DEVICE MEGABYTES: written and read back past the caches, and compared
random_io() {
	local device=$1 mb=$2 data=$SCENARIO_DIR/random.bin
	head -c "${mb}M" /dev/urandom >"$data"
	dd if="$data" of="$device" bs=256k oflag=direct status=none
	dd if="$device" of="$data.back" bs=256k iflag=direct count=$((mb * 4)) status=none
	cmp "$data" "$data.back" || fail "what was read from $device is not what was written"
	rm "$data" "$data.back"
}

# tls_stat COUNTER [NETNS]; before the tls module is loaded all are 0
tls_stat() { in_ns "${2:-}" awk -v n="$1" '$1 == n { print $2; found = 1 } END { exit !found }' /proc/net/tls_stat 2>/dev/null || echo 0; }

# --- network namespaces: two ends of a veth, host (10.9.0.1, fd00:9::1) and target (... 2)
make_namespaces() {
	ip netns add host
	ip netns add target
	ip link add h0 netns host type veth peer name t0 netns target
	ip -n host addr add 10.9.0.1/24 dev h0
	ip -n target addr add 10.9.0.2/24 dev t0
	ip -n host addr add fd00:9::1/64 dev h0 nodad
	ip -n target addr add fd00:9::2/64 dev t0 nodad
	ip -n host link set lo up
	ip -n target link set lo up
	ip -n host link set h0 up
	ip -n target link set t0 up
}

# --- between scenarios

clean_up() {
	trap - ERR
	local path
	[[ ! -e /run/tlshd-nfsd ]] || (. "${BASH_SOURCE[0]%/*}/nfs.sh" && stop_nfs)
	# First the host's side, with a delete that does not wait for a daemon.
	nvme disconnect-all >/dev/null 2>&1 || true
	for path in /sys/class/nvme/nvme*/delete_controller; do
		[[ ! -e $path ]] || echo 1 >"$path" 2>/dev/null || true
	done
	if [[ -d /run/systemd/system ]]; then
		systemctl stop tlshd.service 2>/dev/null || true
		stop_units
	fi
	[[ ! -e /sys/fs/cgroup/scenario/cgroup.kill ]] || echo 1 >/sys/fs/cgroup/scenario/cgroup.kill
	note_timers
	stop_targets
	wait_for 20 no_nvme || { echo "controllers are left:"; ls /sys/class/nvme; return 1; }
	[[ ! $(nvme_keyring) ]] || keyctl clear "$(nvme_keyring)"
	for path in /run/netns/*; do [[ ! -e $path ]] || ip netns del "${path##*/}"; done
	for path in /sys/module/nvme*_tcp/parameters/tls_handshake_timeout; do [[ ! -e $path ]] || echo 10 >"$path"; done
	rm -f $GRANTED
}
no_nvme() { [[ ! -d /sys/class/nvme || ! $(ls /sys/class/nvme) ]]; }
