#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nvme-tls doctor as a program, on machines made up of files and on keyrings of its own: what each case promises is its name.
# Usage: test-doctor-tool.sh NVME-TLS [CASE...]; prints TAP.
test=$(realpath "$0")
# shellcheck source=tests/unit/key-tool.sh
. "$(dirname "$0")/key-tool.sh"

# A machine with a port of the target, without anything else.
make_port() {
	local port=world/sys/kernel/config/nvmet/ports/1
	mkdir -p $port/subsystems/nqn.io-1
	echo tcp >$port/addr_trtype
	echo 192.0.2.1 >$port/addr_traddr
	echo 4420 >$port/addr_trsvcid
	echo "$1" >$port/addr_tsas
	echo "$2" >$port/addr_treq
}
looks() { t doctor --root="$PWD/world" "$@"; }

case_exit_code_is_that_of_the_worst_finding() {
	make_port tls1.3 required
	returns 0 looks port-tls port-plain-text >/dev/null
	make_port none required
	returns 6 looks port-tls port-plain-text >/dev/null
	make_port tls1.3 'not required'
	returns 1 looks port-tls port-plain-text >/dev/null
}

case_a_fault_has_its_cause_and_its_remedy() {
	make_port tls1.3 'not required'
	looks port-plain-text >out
	has out '^fault +port-plain-text: port 1 \(192.0.2.1:4420\) lets hosts in without TLS'
	has out '^ +-> cd /sys/kernel/config/nvmet/ports/1; rm subsystems/\*; echo required > addr_treq'
	looks --json port-plain-text >out
	same "check" port-plain-text "$(jq -r '.findings[0].check' out)"
	same "level" fault "$(jq -r '.findings[0].level' out)"
	same "worst" fault "$(jq -r .worst out)"
	[[ $(jq -r '.findings[0].remedy' out) == *'echo required > addr_treq'* ]] || fail "no remedy"
}

case_sides_are_found_out_or_said() {
	make_port tls1.3 required
	same "with a port" target "$(looks --json port-tls | jq -r '.sides | join(" ")')"
	same "as told" host "$(looks --host --json port-tls | jq -r '.sides | join(" ")')"
	mkdir -p world/sys/module/nvme_tcp
	same "with the host's module" "host target" "$(looks --json port-tls | jq -r '.sides | join(" ")')"
	rm -r world/sys
	same "with nothing" "host target" "$(looks --json port-tls | jq -r '.sides | join(" ")')"
	mkdir -p world/etc/nvme
	echo nqn.h >world/etc/nvme/hostnqn
	t gen -n nqn.h -c nqn.io-1 --insert >/dev/null
	t export >world/etc/nvme/tls-keys
	same "with a key file of this host" host "$(looks --json port-tls | jq -r '.sides | join(" ")')"
}

case_checks_of_the_other_side_are_not_made() {
	make_port none required
	looks --host --json >out
	same "checks of the target" 0 "$(jq '[.findings[] | select(.check == "port-tls")] | length' out)"
	looks --target --json >out
	same "checks of the host" 0 "$(jq '[.findings[] | select(.check == "nvme-tcp-module")] | length' out)"
}

case_unknown_check_is_refused() {
	returns 2 t doctor port-tsl 2>err
	has err 'did you mean port-tls'
	returns 2 t doctor NVMeTLSkey-1:01:secret: 2>err
	! grep -q secret err || fail "a misplaced key is repeated"
}

case_key_on_the_command_line_is_refused() {
	returns 2 t doctor "${PAIR[@]}" --keydata=NVMeTLSkey-1:01:secret: 2>err
	has err 'takes a file, or - for standard input'
	! grep -q secret err || fail "the key is repeated"
}

case_options_of_a_pair_need_the_pair() {
	returns 2 t doctor --connect 127.0.0.1 2>err
	has err 'give --subsysnqn'
	returns 2 t doctor --identity=0 2>err
	has err 'give --subsysnqn'
	returns 2 t doctor -n nqn.h -c nqn.io-1 2>err
	has err 'the host NQN is -q'
}

case_pair_is_given_as_to_nvme_connect() {
	t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
	returns 0 t doctor -q nqn.h -n nqn.io-1 pair-key >/dev/null
	returns 1 t doctor -q nqn.h -n nqn.io-2 pair-key >out
	has out 'nvme-tls insert --hostnqn=nqn.h --subsysnqn=nqn.io-2 PSKFILE'
	returns 0 t doctor -I "NVMe0R01 nqn.h nqn.io-1" pair-key identity >/dev/null
}

case_name_in_a_remedy_is_quoted_for_the_shell() {
	# shellcheck disable=SC2016 # it must not be expanded
	t doctor -q nqn.h -n 'nqn.$(reboot)' pair-key >out
	# shellcheck disable=SC2016
	has out "subsysnqn='nqn\\.\\\$\\(reboot\\)' PSKFILE"
}

case_derivation_of_the_loaded_key_is_named() {
	t gen --quiet >psk
	t gen --quiet >other
	returns 1 t doctor "${PAIR[@]}" --keydata=psk derivation >out
	has out 'not loaded in any way'
	t insert "${PAIR[@]}" psk >/dev/null || fail "insert"
	returns 0 t doctor "${PAIR[@]}" --keydata=psk derivation >/dev/null
	returns 0 t doctor "${PAIR[@]}" --keydata=- derivation <psk >/dev/null
	returns 1 t doctor "${PAIR[@]}" --keydata=other derivation >out
	has out 'is not this configured PSK'
	t insert --force --compat=2.7-openssl3.0 "${PAIR[@]}" psk >/dev/null || fail "insert"
	returns 1 t doctor "${PAIR[@]}" --keydata=psk derivation >out
	has out 'Ubuntu 24.04|OpenSSL'
	has out 'compat=2'
	returns 0 t doctor --compat=2.7-openssl3.0 "${PAIR[@]}" --keydata=psk derivation >/dev/null
	! grep -q "$(cut -d: -f3 psk)" out || fail "the key is in the output"
}

case_nothing_is_changed() {
	local before
	t gen --insert "${PAIR[@]}" >psk || fail "gen"
	before=$(t list)
	t doctor "${PAIR[@]}" --keydata=psk >/dev/null
	same "keys" "$before" "$(t list)"
}

case_completion_knows_checks_and_options() {
	"$tool" complete doctor 'port-' | cut -f1 >words
	same "checks" "port-tls port-plain-text" "$(xargs <words)"
	"$tool" complete doctor --conn | cut -f1 >words
	same "option" --connect= "$(cat words)"
}

case_manual_has_every_check() {
	local check manual
	manual=$(dirname "$test")/../../man/nvme-tls.8
	"$tool" complete doctor '' | cut -f1 >checks
	[[ $(wc -l <checks) -gt 20 ]] || fail "completion has no checks"
	while read -r check; do
		grep -qE "^\.It Cm (.* , )?$check( ,|$)" "$manual" || fail "the manual does not have $check"
	done <checks
}

run_cases "$@"
