#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nvme-tls status and log on recordings without a daemon, as any user: what each case promises is its name.
# Usage: test-recording-tool.sh NVME-TLS MAKE-RECORDING [CASE...]; prints TAP.
set -uo pipefail
tool=$(realpath "$1") maker=$(realpath "$2")
shift 2

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
cd "$scratch" || exit 1

fail() { echo "# $*"; exit 1; }
same() { [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"; }
has() { grep -qE -- "$2" "$1" || fail "no line of $1 matches '$2': $(cat "$1")"; }
lacks() { ! grep -qE -- "$2" "$1" || fail "a line of $1 matches '$2': $(cat "$1")"; }
# returns CODE COMMAND...
returns() {
	local code=0
	"${@:2}" || code=$?
	same "exit code of ${*:2}" "$1" "$code"
}
# record [WORD...]: a recording that nobody writes any more
record() { recording=$("$maker" . "$@" </dev/null); }
# start [WORD...]: a recording with a daemon behind it, until stop
start() {
	mkfifo end
	"$maker" . "$@" wait <end >path &
	maker_pid=$!
	exec 7>end
	until [[ -s path ]]; do
		kill -0 "$maker_pid" || fail "make-recording has ended"
		sleep 0.01
	done
	recording=$(<path)
}
stop() { exec 7>&-; wait "$maker_pid"; }
status() { "$tool" status --recording="$recording" "$@"; }
log() { "$tool" log --recording="$recording" "$@"; }

case_status_says_what_runs_and_what_has_ended() {
	start
	returns 0 status >out 2>err
	has out "serving, process $maker_pid, since "
	has out '^Build +0\.1\.0 tested$'
	has out '^Configuration +/etc/tlshd\.conf, read on '
	has out '^In flight +3 handshakes; 2 wait for their peer.s first byte, 0 for a worker$'
	has out '^Workers +1 of 2 are serving, 1 were lost since the start$'
	has out '^Keyrings +\.nvme \(0x00001234\)$'
	has out '^  succeeded +1 +1$'
	has out '^  no-key +0 +2$'
	has out '^  silent-peer +0 +1$'
	has out '^Last failure .*192\.0\.2\.4:4420 \[silent-peer\]: .*; .*'
	stop
}

case_status_in_json_has_the_same() {
	start
	returns 0 status --json >out
	same healthy true "$(jq .healthy out)"
	same complaint null "$(jq .complaint out)"
	same "no-key" 2 "$(jq '.handshakes[] | select(.side == "server" and .cause == "no-key").count' out)"
	same "first byte" 2 "$(jq .waiting_for_first_byte out)"
	same keyring '".nvme"' "$(jq '.keyrings[0].name' out)"
	[[ $(jq .durations.server.p50_usec out) -ge 3000 ]] || fail "$(jq .durations out)"
	stop
}

case_status_for_prometheus_is_in_its_text_format() {
	start
	returns 0 status --prometheus >out
	has out '^tlshd_up 1$'
	has out '^tlshd_handshakes_total\{side="server",cause="no-key"\} 2$'
	has out '^tlshd_handshake_duration_seconds_bucket\{side="server",le="0\.002048"\} 0$'
	has out '^tlshd_handshake_duration_seconds_bucket\{side="server",le="0\.004096"\} 1$'
	has out '^tlshd_handshake_duration_seconds_bucket\{side="server",le="\+Inf"\} 1$'
	has out '^tlshd_handshake_duration_seconds_sum\{side="client"\} 0\.005000$'
	! grep -vE '^# (HELP|TYPE) tlshd_[a-z_]+ .+$|^tlshd_[a-z_]+(\{[^}]*\})? [0-9.]+$' out || fail "this is no metric"
	# Each metric says what it is, once, before its values.
	same types "$(grep -c '^# TYPE' out)" "$(sed -n 's/^# TYPE \(tlshd_[a-z_]*\) .*/\1/p' out | sort -u | wc -l)"
	stop
	returns 7 status --prometheus >out 2>err
	has out '^tlshd_up 0$'
	has out '^tlshd_handshakes_total\{side="server",cause="no-key"\} 2$'
}

case_a_daemon_that_died_is_told_from_one_that_was_stopped() {
	record
	returns 7 status >out 2>err
	has out '^tlshd +not running$'
	has out '^  no-key +0 +2$'
	has err 'did not stop by itself: it was last seen on .*systemctl status tlshd'
	record stop
	returns 7 status >out 2>err
	has err 'was stopped on .*systemctl start tlshd'
	# Both have written the same file.
	has out ', by 2 starts of tlshd$'
	has out '^  no-key +0 +4$'
}

case_a_daemon_without_a_worker_is_not_healthy() {
	start idle
	returns 7 status >out 2>err
	has err 'has no worker'
	returns 7 status --json >out 2>err
	same healthy false "$(jq .healthy out)"
	stop
}

case_no_recording_says_how_to_get_one() {
	returns 4 "$tool" status --recording=none 2>err
	has err 'systemctl start tlshd'
	returns 4 "$tool" log --recording=none 2>err
	has err 'systemctl start tlshd'
	returns 4 "$tool" status --recording=none --prometheus >out 2>/dev/null
	has out '^tlshd_up 0$'
}

case_what_is_no_recording_is_refused_with_the_next_step() {
	head -c 300000 /dev/zero >junk
	returns 3 "$tool" status --recording=junk 2>err
	has err 'no recording of tlshd.*restart tlshd'
	record
	printf '\x07' | dd of="$recording" bs=1 seek=8 conv=notrunc status=none
	returns 3 log 2>err
	has err 'another version.*nvme-tls that was installed with'
}

case_log_has_a_line_for_each_handshake_and_why_it_failed() {
	start
	returns 0 log >out 2>err
	same messages "" "$(<err)"
	same handshakes 5 "$(grep -c '^[0-9]' out)"
	has out '^[-0-9]+ [:0-9]+\.[0-9]{3} server 192\.0\.2\.1:4420 success, 3\.0 ms, AES-128-GCM, X25519, key 0x1234abcd, identity "NVMe1R01 nqn\.h nqn\.io-1 .*"$'
	has out '^ +no key for this identity in the keyring$'
	# What to do about it, once.
	same remedies 1 "$(grep -c 'compare "nvme-tls list"' out)"
	stop
}

case_filters_choose() {
	start
	numbers() { log --json "$@" | jq -c '[.[].number]'; }
	same all '[0,1,2,3,4]' "$(numbers)"
	same side '[1]' "$(numbers --side=client)"
	same failed '[2,3,4]' "$(numbers --failed)"
	same cause '[2,3]' "$(numbers --cause=no-key)"
	same peer '[2,3]' "$(numbers --peer=192.0.2.3)"
	same "peer and port" '[4]' "$(numbers --peer=192.0.2.4:4420)"
	same identity '[1]' "$(numbers --identity='NVMe0R01 nqn.h nqn.io-2')"
	same host '[0,1]' "$(numbers --hostnqn=nqn.h)"
	same subsystem '[0]' "$(numbers --subsysnqn=nqn.io-1 --cause=success)"
	same lines '[3,4]' "$(numbers -n2)"
	same "lines of those" '[1]' "$(numbers -n1 --hostnqn=nqn.h)"
	same "all lines" '[0,1,2,3,4]' "$(numbers --lines=0)"
	same since '[0,1,2,3,4]' "$(numbers --since=1h)"
	returns 4 log --peer=192.0.2.99 2>err
	has err 'no such handshake'
	stop
}

case_log_of_a_mistyped_cause_is_no_empty_answer() {
	record
	returns 2 log --cause=no-keys 2>err
	has err 'did you mean no-key\?'
	returns 2 log --side=target 2>err
	has err '--side takes client or server'
	returns 2 log --lines=-1 2>err
	has err '--lines takes a number'
}

case_foreign_bytes_reach_no_terminal() {
	record
	log >out 2>err
	same "escapes" 0 "$(grep -c $'\033' out)"
	iconv -f UTF-8 -t UTF-8 out >/dev/null || fail "not UTF-8: $(cat out)"
	log --json >out 2>err
	jq . <out >/dev/null || fail "$(cat out)"
	same "escapes in JSON" 0 "$(grep -c $'\033' out)"
}

case_log_goes_on_with_new_handshakes_and_over_a_restart() {
	local pid
	start
	"$tool" log --recording="$recording" --follow --json -n1 >out 2>err 7>&- &
	pid=$!
	for ((i = 0; i < 500; i++)); do [[ -s out ]] && break; sleep 0.02; done
	stop
	record more stop
	for ((i = 0; i < 500; i++)); do grep -q wrong-key out && break; sleep 0.02; done
	kill "$pid"
	wait "$pid" 2>/dev/null
	same "numbers" "4 5 6 7 8 9 10" "$(jq .number out | xargs)"
	has out '"cause": "wrong-key"'
}

case_completion_knows_the_commands_and_their_values() {
	"$tool" complete sta >out
	has out '^status	'
	"$tool" complete log --s >out
	has out '^--side=	'
	has out '^--since=	'
	lacks out 'keyring|keytype'
	"$tool" complete log --side= >out
	same sides "--side=client --side=server" "$(cut -f1 out | xargs)"
	"$tool" complete status --recording= >out
	has out '^:files$'
}

all=$(declare -F | sed -n 's/^declare -f case_//p')
(($#)) && all=$*
# shellcheck disable=SC2086 # a list of words
set -- $all
echo "1..$#"
n=0
for name; do
	((n++))
	(
		mkdir "$name" && cd "$name" || exit 1
		"case_$name"
	) && echo "ok $n $name" || echo "not ok $n $name"
done
