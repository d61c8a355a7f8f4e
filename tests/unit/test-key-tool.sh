#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nvme-tls on keyrings and key files of its own, as any user: what each case promises is its name.
# Usage: test-key-tool.sh NVME-TLS [CASE...]; prints TAP.
manual=$(realpath "$(dirname "$0")/../../man/nvme-tls.8")
completion=$(realpath "$(dirname "$0")/../../src/nvme-tls/completion/nvme-tls.bash")
# shellcheck source=tests/unit/key-tool.sh
. "$(dirname "$0")/key-tool.sh"

case_keyring_of_ones_own_is_read() {
	t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
	same "keys by name" 1 "$(t list --json | jq length)"
	RING=$(keyctl search @s keyring mine)
	same "keys by serial" 1 "$(t list --json | jq length)"
	RING=$(hex "$RING")
	same "keys by serial as sysfs prints it" 1 "$(t list --json | jq length)"
	same "its length" 32 "$(t list --json | jq '.[0].length')"
}

case_session_and_user_keyrings_have_names() {
	RING=@s
	t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
	keyctl search @s user "NVMe0R01 $HOST $SUBSYS" >/dev/null || fail "not in @s"
	same "keys of the session" 1 "$(t list --json | jq length)"
	RING=@u
	returns 0 t list >/dev/null
	RING=@x
	returns 1 t list 2>err
	has err '@s and @u'
}

case_session_keyring_of_the_user_stays_as_it_was() {
	local before
	t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
	before=$(keyctl rlist @s)
	t rotate "${PAIR[@]}" >/dev/null || fail "rotate"
	same "the session" "$before" "$(keyctl rlist @s)"
}

case_serial_is_taken_as_sysfs_prints_it() {
	local way serial
	for way in %d 0x%x 0x%08x %08x; do
		t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
		serial=$(serials)
		# shellcheck disable=SC2059 # the way is the format
		returns 0 t revoke "$(printf "$way" "$serial")" >/dev/null
		same "keys left after $way" 0 "$(t list --json | jq length)"
	done
}

case_psk_file_is_taken_as_it_was_printed() {
	t gen --insert "${PAIR[@]}" >psk || fail "gen"
	same "lines" 3 "$(wc -l <psk)"
	returns 0 t check "${PAIR[@]}" psk >/dev/null
	returns 0 t check "${PAIR[@]}" - <psk >/dev/null
	returns 0 t insert "${PAIR[@]}" psk >/dev/null
	returns 0 t insert --hostnqn=nqn.h --subsysnqn=nqn.io-2 --keydata=psk >/dev/null
	t rotate "${PAIR[@]}" >psk || fail "rotate"
	returns 0 t rotate "${PAIR[@]}" --keydata=psk >/dev/null
	returns 0 t check "${PAIR[@]}" psk >/dev/null
	sed -i 's/$/\r/' psk
	returns 0 t check "${PAIR[@]}" psk >/dev/null
}

case_file_of_two_keys_or_of_pairs_is_no_psk_file() {
	t gen >psk || fail "gen"
	t gen >>psk || fail "gen"
	returns 3 t check psk 2>/dev/null
	echo "NVMe0R01 nqn.h nqn.s $(head -1 psk)" >keys
	returns 3 t insert "${PAIR[@]}" keys 2>err
	has err 'nvme-tls import'
	! grep -q NVMeTLSkey err || fail "a key is in a message"
}

case_quiet_prints_the_psk_alone() {
	t gen --quiet --insert "${PAIR[@]}" >psk || fail "gen"
	same "lines" 1 "$(wc -l <psk)"
	returns 0 t check "${PAIR[@]}" psk >/dev/null
	t rotate -q "${PAIR[@]}" >psk || fail "rotate"
	same "lines" 1 "$(wc -l <psk)"
	returns 0 t check "${PAIR[@]}" psk >/dev/null
}

# The keys below are made of one configured PSK by every derivation that nvme-cli has had.
case_check_names_the_derivation_of_a_loaded_key() {
	local hmac version era

	for hmac in 1 2; do
		t gen --hmac=$hmac >psk || fail "gen"
		for version in 0 1; do
			for era in 2.11 2.7 2.7-openssl3.0 2.11-openssl3.0; do
				keyctl clear "%keyring:mine"
				t insert --compat=$era -I$version "${PAIR[@]}" psk >/dev/null || fail "insert"
				returns 0 t check --compat=$era -I$version "${PAIR[@]}" psk >out
				returns 0 t check --compat=$era "${PAIR[@]}" psk >out
				returns 5 t check -I$version "${PAIR[@]}" psk >out
				has out 'not loaded as asked for, but in another way'
				has out "^NVMe${version}R0$hmac "
				# Of version 0 two eras make the same key.
				((version)) || [[ $era == 2.11 || $era == 2.7-openssl3.0 ]] || continue
				has out ": --compat=$era makes the same here"
				has out "^the other side needs .* nvme-tls with --compat=$era$"
				same "the era in JSON" $era \
					"$(t check --json "${PAIR[@]}" psk | jq -r '.loaded_as[0].derivations[0]')"
			done
			keyctl clear "%keyring:mine"
			t insert -I$version "${PAIR[@]}" psk >/dev/null || fail "insert"
			returns 0 t check "${PAIR[@]}" psk >out
			has out 'loaded, serial 0x[0-9a-f]*, the same bytes'
			! grep -q compat out || fail "an option is named where none is needed"
		done
	done
	keyctl clear "%keyring:mine"
	returns 4 t check "${PAIR[@]}" psk >/dev/null
	t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
	t gen >other
	returns 5 t check "${PAIR[@]}" other >/dev/null
}

# An identity that a log shows is all there is of the other side.
case_check_tells_the_derivation_by_an_identity() {
	local era identity

	t gen >psk || fail "gen"
	for era in 2.11 2.7-openssl3.0; do
		identity=$(t insert --compat=$era -I1 "${PAIR[@]}" psk | head -1)
		returns 0 t check -I "$identity" psk >out
		has out "this configured PSK has the identity, derived as by nvme-cli .*: --compat=$era"
		has out 'loaded, serial 0x[0-9a-f]*, the same bytes'
		same "the era in JSON" $era \
			"$(t check --json -I "$identity" psk | jq -r '.derived_as[0].derivations[0]')"
	done
	keyctl clear %keyring:mine
	returns 4 t check -I "$identity" psk >out
	has out ': --compat=2.7-openssl3.0'
	t gen >other
	returns 4 t check -I "$identity" other >out
	! grep -q configured out || fail "an identity of another key"
}

case_check_tells_of_a_key_made_without_the_transform() {
	openssl rand -hex 32 >bytes
	t gen --secret=bytes >psk
	t gen --secret=bytes --hmac=0 >untransformed
	t insert "${PAIR[@]}" untransformed >/dev/null || fail "insert"
	returns 5 t check "${PAIR[@]}" psk >out
	has out 'with hash 00 .none., where this configured PSK says 01'
}

case_check_of_a_key_file_looks_every_line_up() {
	t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
	t export >keys
	returns 0 t check keys >out
	has out 'loaded, serial 0x[0-9a-f]*, the same bytes'
	t gen --subsysnqn=nqn.other --hostnqn=nqn.h --keyfile=keys >/dev/null || fail "gen -f"
	returns 4 t check keys >out
	same "lines of output" 4 "$(wc -l <out)"
	returns 4 t check <keys >/dev/null
	sed 's/ [^ ]*$//; q' keys >line
	t gen --subsysnqn=$SUBSYS --hostnqn=nqn.h >psk
	echo "$(cat line) $(head -1 psk)" >different
	returns 5 t check different >out
	has out 'another key is loaded under this identity'
	echo "no key" >>keys
	returns 3 t check keys 2>err >/dev/null
	has err 'line 3: '
	same "problems in JSON" 3 "$(t check --json keys 2>/dev/null | jq '.problems[0].line')"
	returns 0 t check -I "NVMe0R01 $HOST $SUBSYS" keys >/dev/null
	returns 4 t check -I "NVMe0R01 $HOST nqn.none" keys 2>/dev/null
}

case_check_of_a_derived_key_needs_its_identity_only() {
	t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
	t export | cut -d' ' -f4 >derived
	returns 0 t check -I "NVMe0R01 $HOST $SUBSYS" derived >out
	has out 'the same bytes'
	returns 4 t check -I "NVMe0R01 $HOST nqn.none" derived >/dev/null
	returns 3 t check -I "NVMe0R02 $HOST $SUBSYS" derived >/dev/null 2>err
	has err 'SHA-384, whose keys have 48 bytes'
	returns 2 t check -I "NVMe0R01 $HOST $SUBSYS" -c nqn.x derived 2>/dev/null
}

# Whatever was meant for a key, be it mistyped, is not repeated where a log or a screen keeps it.
case_no_message_repeats_what_may_be_a_key() {
	local wrong

	for wrong in 'NVMETLSkey-1:01:XYZZY/XYZZY=:' ' NVMeTLSkey-1:01:XYZZY/XYZZY=:' 'XYZZY/XYZZY=' \
		'DHHC-1:00:XYZZY/XYZZY=:' 'NVMeTLSkey-1:01:XYZZY' 'XYZZY XYZZY' './XYZZY' \
		$'XYZZY\nXYZZY'; do
		for command in check insert rotate; do
			t $command "${PAIR[@]}" -d "$wrong" >>out 2>&1 && fail "$command takes '$wrong'"
		done
		t check "$wrong" >>out 2>&1 && fail "check takes '$wrong'"
		t gen --secret="$wrong" >>out 2>&1 && fail "gen takes '$wrong'"
	done
	for wrong in 0xXYZZY pin:XYZZY 0x5ec2e700 5ec2e7005ec2e700 5ec2e700/; do
		t gen --secret="$wrong" >>out 2>&1 && fail "gen takes '$wrong'"
		t gen -s "$wrong" >>out 2>&1 && fail "gen takes '$wrong'"
	done
	echo 'XYZZY XYZZY' >file
	t check file >>out 2>&1 && fail "check takes two words"
	printf 'XYZZY\0XYZZY' >file
	t check file >>out 2>&1 && fail "check takes a NUL byte"
	t gen --secret=file >>out 2>&1 && fail "gen takes a NUL byte"
	! grep -E 'XYZZY|5ec2e7' out || fail "repeated"
}

# The command lines are those of nvme-cli 2, 3 and its development; the words are those scripts look for.
case_names_and_words_of_nvme_cli_are_understood() {
	local key=NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:
	local identity="NVMe1R01 $HOST $SUBSYS ObMOoBLQtmNau6cRASJGaySUJOKnDvg1ib8p6EKV6RE="

	returns 0 t gen-tls-key -nnqn.h -c$SUBSYS >out
	same "lines" 1 "$(wc -l <out)"
	returns 0 t gen-tls-key "${PAIR[@]}" -i >out
	has out '^Inserted TLS key [0-9a-f]{8}$'
	same "lines" 2 "$(wc -l <out)"
	returns 0 t check-tls-key "${PAIR[@]}" -I1 -d $key 2>/dev/null >out
	same "the identity alone" "$identity" "$(cat out)"
	returns 0 t check-tls-key --hostn nqn.h --sub $SUBSYS -I1 --keyd $key --insert 2>/dev/null >out
	has out '^Inserted TLS key [0-9a-f]{8}$'
	same "lines" 1 "$(wc -l <out)"
	returns 0 t check-tls-key -d $key 2>/dev/null >out
	has out '^Key is valid .HMAC 1, length 32, CRC d9baf45f.$'
	returns 0 t tls-key --export >keys
	same "keys" 2 "$(wc -l <keys)"
	returns 0 t tls -e -f exported 2>/dev/null >/dev/null
	same "the file" "$(cat keys)" "$(cat exported)"
	returns 2 t tls-key 2>err
	has err 'one of --import, --export and --revoke'
	returns 2 t tls-key -i -e 2>/dev/null
	returns 0 t tls-key -r "$identity" >/dev/null
	returns 4 t tls-key -r "$identity" 2>/dev/null
	returns 0 t tls-key --imp -f exported >/dev/null
	returns 0 t tls --import exported >/dev/null
	returns 0 t tls-key -i <exported >/dev/null
	same "keys" "$(sort keys)" "$(t tls-key -e | sort)"

	keyctl clear %keyring:mine
	returns 0 t "keys gen-tls-psk" "${PAIR[@]}" --insert >out
	has out '^Inserted TLS PSK [0-9a-f]{8}$'
	echo $key >psk
	returns 0 t "keys insert-tls-psk" "${PAIR[@]}" -I 1 <psk >out
	has out '^Inserted TLS PSK [0-9a-f]{8}$'
	returns 0 t "keys check-tls-psk" "${PAIR[@]}" -I 1 <psk >out
	has out '^Configured PSK is valid .HMAC 1, length 32.$'
	has out 'loaded, serial'
	returns 0 t "keys check-tls" "${PAIR[@]}" -I 1 <psk >/dev/null
	returns 0 t "keys export" >keys
	same "keys" 2 "$(wc -l <keys)"
	returns 0 t "keys revoke" -i "$identity" >/dev/null
	returns 2 t "keys revoke" 2>/dev/null
	returns 0 t "keys import" -f keys >/dev/null
	returns 0 t "keys import" <keys >/dev/null
	returns 0 t "keys revoke" --identity="$identity" >/dev/null
	sed -n 's/^NVMe1.* //p' keys >derived
	returns 0 t "keys import" -i "$identity" -d derived >/dev/null
	returns 0 t "keys import" -i "$identity" <derived >/dev/null
	returns 2 t "keys import" -i "$identity" -f keys 2>/dev/null
	same "keys" "$(sort keys)" "$(t export | sort)"
}

case_check_insert_is_insert() {
	t gen >psk || fail "gen"
	returns 0 t check --insert -I1 "${PAIR[@]}" psk -f keys >out
	has out '^Inserted TLS key 0x[0-9a-f]{8}$'
	same "the key file" "$(t export)" "$(cat keys)"
	returns 2 t check "${PAIR[@]}" psk -f keys 2>err
	has err '--keyfile goes with --insert'
}

case_help_that_cannot_be_printed_is_an_error() {
	local line

	for line in --version --help help "help gen" "gen --help" "list -h" "help keys import"; do
		# shellcheck disable=SC2086 # words
		returns 0 "$tool" $line >/dev/null
		# shellcheck disable=SC2086 # words
		returns 1 "$tool" $line 2>err >/dev/full
		has err 'cannot write'
	done
}

case_commands_done_elsewhere_are_named() {
	local name

	for name in gen-dhchap-key 'keys gen-kxchap-secret' connect; do
		# shellcheck disable=SC2086 # two words
		returns 2 "$tool" $name 2>err
		has err ' nvme '
	done
	returns 2 "$tool" keys 2>err
	has err 'gen-tls-psk'
	returns 2 "$tool" remove 2>err
	has err 'nvme-tls revoke'
	returns 2 "$tool" lsit 2>err
	has err 'did you mean list'
	returns 2 "$tool" NVMeTLSkey-1:01:XYZZY: 2>err
	! grep XYZZY err || fail "a key is repeated"
}

# The serials in the keyring itself, and what list says of each key: "new 0a5e8b85".
top() { keyctl rlist "$(keyctl search @s keyring mine)" | xargs -n1 | sort; }
phases() { t list --json | jq -r '.[] | "\(.rotation) \(.serial_hex)"' | sort; }
old_ring() { keyctl search "$(keyctl search @s keyring mine)" keyring nvme-tls:replaced; }

case_rotation_in_steps_keeps_both_keys_and_then_one() {
	local old new
	t gen -q --identity=1 --insert "${PAIR[@]}" --keyfile=kf >first || fail "gen"
	old=$(hex "$(serials)")
	t gen -q >psk || fail "gen"

	t rotate --stage "${PAIR[@]}" --keydata=psk --keyfile=kf >out || fail "stage"
	new=$(t check "${PAIR[@]}" --identity=1 --json psk | jq -r .serial_hex)
	has out "0x$new is accepted beside 0x$old"
	same "phases" "new $new
old $old" "$(phases)"
	same "lines" 2 "$(wc -l <kf)"
	returns 0 t check "${PAIR[@]}" --identity=1 first >/dev/null

	t rotate --switch "${PAIR[@]}" --keyfile=kf >out || fail "switch"
	same "phases" "aside $old
new $new" "$(phases)"
	same "lines" 1 "$(wc -l <kf)"
	returns 0 t check "${PAIR[@]}" --identity=1 psk >/dev/null
	same "keys in the keyring itself" 2 "$(top | wc -l)" # the new one, and the keyring of old ones
	keyctl print $((16#$old)) >/dev/null || fail "a handshake could not read the old key"

	t rotate --finish "${PAIR[@]}" --keyfile=kf >out || fail "finish"
	t list >out
	has out 'the old key of a rotation, which ends in [0-9]+s'
	same "lines" 1 "$(wc -l <kf)"
	# Twenty seconds in one; the kernel sweeps up minutes later.
	keyctl timeout $((16#$old)) 1
	for _ in $(seq 100); do keyctl print $((16#$old)) >/dev/null 2>&1 || break; sleep 0.1; done
	t rotate --finish "${PAIR[@]}" >out || fail "finish"
	has out "0x$new is the only key of the pair"
	same "phases" "null $new" "$(phases)"
	same "keys in the keyring itself" "$((16#$new))" "$(top)"
}

case_each_step_of_a_rotation_may_be_repeated() {
	local step before
	t gen --identity=1 --insert "${PAIR[@]}" --keyfile=kf >/dev/null || fail "gen"
	t gen -q >psk || fail "gen"
	for step in stage switch finish; do
		t rotate --$step "${PAIR[@]}" --keydata=psk --keyfile=kf >/dev/null || fail "$step"
		before="$(top) $(phases) $(cat kf)"
		t rotate --$step "${PAIR[@]}" --keydata=psk --keyfile=kf >out || fail "$step again"
		has out 'already done|the only key'
		same "all after $step" "$before" "$(top) $(phases) $(cat kf)"
	done
}

case_stage_makes_no_second_new_key() {
	t gen --identity=1 --insert "${PAIR[@]}" >/dev/null || fail "gen"
	t rotate --stage --quiet "${PAIR[@]}" >psk || fail "stage"
	returns 5 t rotate --stage "${PAIR[@]}" 2>err >out
	has err 'staged for this pair already'
	same "what was printed" "" "$(cat out)"
	same "keys" 2 "$(t list --json | jq length)"
	returns 0 t rotate --stage "${PAIR[@]}" --keydata=psk >/dev/null
}

case_rotation_can_go_back() {
	local old
	t gen -q --identity=1 --insert "${PAIR[@]}" >first || fail "gen"
	old=$(hex "$(serials)")
	t gen -q >psk || fail "gen"
	t rotate --stage "${PAIR[@]}" --keydata=psk >/dev/null || fail "stage"
	t rotate --stage "${PAIR[@]}" --keydata=first >/dev/null || fail "stage back"
	phases >out
	has out "new $old"
	t rotate --switch "${PAIR[@]}" --keydata=psk >/dev/null || fail "switch"
	t rotate --switch "${PAIR[@]}" --keydata=first >/dev/null || fail "switch back"
	returns 0 t check "${PAIR[@]}" --identity=1 first >/dev/null
	returns 4 t check "${PAIR[@]}" --identity=1 psk >/dev/null
}

case_two_keys_of_one_name_cannot_stand_beside_each_other() {
	local before
	t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
	t gen -q >psk || fail "gen"
	before=$(top)
	for step in stage switch; do
		returns 5 t rotate --$step "${PAIR[@]}" --keydata=psk 2>err
		has err 'With --identity 1 each key has a name of its own'
		same "the keyring" "$before" "$(top)"
	done
	t rotate --stage --identity=1 "${PAIR[@]}" --keydata=psk >/dev/null || fail "stage of version 1"
	t rotate --switch "${PAIR[@]}" >/dev/null || fail "switch"
	t rotate --finish "${PAIR[@]}" >/dev/null || fail "finish"
	returns 0 t check --identity=1 "${PAIR[@]}" psk >/dev/null
}

case_key_that_is_aside_is_none_of_the_keyring() {
	local key
	t gen -q --identity=1 --insert "${PAIR[@]}" --keyfile=kf >first || fail "gen"
	t gen -q >psk || fail "gen"
	t rotate --switch "${PAIR[@]}" --keydata=psk >/dev/null || fail "switch"
	returns 4 t check --identity=1 "${PAIR[@]}" first >/dev/null
	returns 0 t export >out
	same "exported keys" 1 "$(wc -l <out)"
	t revoke "${PAIR[@]}" >/dev/null || fail "revoke"
	same "keys" "[]" "$(t list --json | jq -c .)"
	# The kernel takes a revoked key out of its keyrings when it comes to that.
	for key in $(keyctl rlist "$(old_ring)"); do
		! keyctl describe "$key" >/dev/null 2>&1 || fail "an old key is left"
	done
}

case_rotation_without_steps_takes_the_old_keys_with_it() {
	t gen -q --identity=1 --insert "${PAIR[@]}" >/dev/null || fail "gen"
	t gen -q >psk || fail "gen"
	t rotate --switch "${PAIR[@]}" --keydata=psk >/dev/null || fail "switch"
	t rotate "${PAIR[@]}" >/dev/null || fail "rotate"
	same "keys" 1 "$(t list --json | jq length)"
}

case_step_that_cannot_tell_its_key_changes_nothing() {
	local before
	t gen --identity=1 --insert "${PAIR[@]}" --keyfile=kf >/dev/null || fail "gen"
	before="$(top) $(phases) $(cat kf)"
	returns 1 t rotate --stage "${PAIR[@]}" --keyfile=kf >/dev/full 2>/dev/null
	same "all" "$before" "$(top) $(phases) $(cat kf)"
}

case_step_without_a_known_new_key_is_refused() {
	returns 4 t rotate --stage "${PAIR[@]}" 2>/dev/null
	t gen --identity=1 --insert "${PAIR[@]}" >/dev/null || fail "gen"
	t gen -q >psk || fail "gen"
	returns 4 t rotate --finish "${PAIR[@]}" --keydata=psk 2>err
	has err 'rotate --stage \(on the target\) or --switch \(on the host\) puts it there'
	t insert --identity=1 "${PAIR[@]}" psk >/dev/null || fail "insert"
	for step in switch finish; do
		returns 4 t rotate --$step "${PAIR[@]}" 2>err
		has err 'which of them is the new one is not known'
	done
	returns 2 t rotate --stage --finish "${PAIR[@]}" 2>err
	has err 'one at a time'
}

case_names_in_utf8_work_in_the_c_locale() {
	local names=(--hostnqn=nqn.hößt --subsysnqn=nqn.ünit)
	export LC_ALL=C
	t gen --quiet --insert "${names[@]}" --keyfile=kf >psk || fail "gen"
	returns 0 t check "${names[@]}" psk >/dev/null
	t list >out
	has out 'nqn.hößt  nqn.ünit'
	same "exported" "$(cat kf)" "$(t export "${names[@]}")"
	returns 0 t revoke "${names[@]}" --keyfile=kf >/dev/null
	same "lines" 0 "$(wc -l <kf)"
}

case_a_filter_that_finds_nothing_has_exit_code_4() {
	returns 0 t list 2>/dev/null
	returns 0 t export 2>/dev/null
	t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
	for command in list export; do
		returns 0 t $command "${PAIR[@]}" >/dev/null
		for filter in --hostnqn=nqn.none --subsysnqn=nqn.none; do
			returns 4 t $command $filter 2>err >out
			has err 'no such key'
			same "output" "" "$(cat out)"
			returns 4 t $command --json $filter 2>/dev/null >out
			same "JSON" 0 "$(jq length out)"
		done
	done
	returns 4 t export -I1 2>/dev/null
	returns 4 t export -I "NVMe0R01 nqn.h nqn.none" -f none 2>/dev/null
	[[ ! -e none ]] || fail "a key file was made"
	returns 4 t revoke 0x7ffffffe 2>/dev/null
	returns 4 t revoke -n nqn.h -c nqn.none 2>/dev/null
	returns 4 t revoke "NVMe0R01 nqn.h nqn.none" 2>/dev/null
	returns 4 t rotate -n nqn.h -c nqn.none 2>/dev/null
	t gen >psk
	returns 4 t check -n nqn.h -c nqn.none psk >/dev/null
}

case_list_has_100_columns() {
	local uuid=nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36

	t gen --insert -I1 -n $uuid -c $uuid >/dev/null || fail "gen"
	t gen --insert -I0 -n $uuid -c ${uuid}x >/dev/null || fail "gen"
	t gen --insert -I0 -n $uuid -c $uuid >/dev/null || fail "gen"
	t list >out || fail "list"
	! grep -E '.{101}' out || fail "lines of more than 100 columns"
	has out '^\*  0x[0-9a-f]{8}  retained  1 '
	has out "^     HOST NQN       $uuid$"
}

# The manual is told of every option and every name, or this fails.
case_manual_has_every_option_and_name() {
	local command option name

	for command in gen check insert list import export revoke rotate; do
		"$tool" $command --help >help || fail "$command --help"
		sed -nE 's/^  (-.,|   ) --([a-z-]+).*/\2/p' help >options
		[[ -s options ]] || fail "no options in the help of $command"
		while IFS= read -r option; do
			grep -qE "Fl Fl $option( |$)" "$manual" || fail "--$option of $command"
		done <options
	done
	sed -n 's/^\t{"\([a-z -]*\)", COMMAND_[A-Z_]*, WORDING_.*/\1/p' "$(dirname "$manual")/../src/nvme-tls/table.c" >names
	[[ $(wc -l <names) -ge 12 ]] || fail "the names of nvme-cli are not found in table.c"
	while IFS= read -r name; do
		grep -qE "^\.It .*$name" "$manual" || [[ $name == *--insert ]] || fail "no row for $name"
	done <names
}

# completions WORD...: those of the last word, sorted, without what they mean.
completions() { "$tool" complete "$@" | cut -f1 | sort; }

case_completion_knows_commands_options_and_values() {
	local identity="NVMe0R01 $HOST $SUBSYS"

	t gen --insert "${PAIR[@]}" >/dev/null || fail "gen"
	same "a command" "revoke" "$(completions rev)"
	same "no name of nvme-cli" "" "$(completions gen-)"
	same "an option with a value" "--subsysnqn=" "$(completions gen --sub)"
	same "only options of the command" "" "$(completions list --hm)"
	same "options of nvme-cli's name for it" "--identity=" "$(completions keys import --id)"
	for last in "gen -I" "gen --identity" "gen --id" "gen -iI" "rotate -c nqn.s -I"; do
		# shellcheck disable=SC2086 # words
		same "values behind '$last'" "0 1" "$(completions $last '' | xargs)"
	done
	same "values in the word" "--hmac=0 --hmac=1 --hmac=2" "$(completions gen --hmac= | xargs)"
	same "eras" 4 "$(completions insert --compat= | wc -l)"
	same "files" ":files" "$(completions import -f '')"
	same "files for an argument" ":files" "$(completions check psk)"
	same "an argument behind --" ":files" "$(completions check -- --hm)"
	same "nothing for an option of no value" "" "$(completions gen --insert=)"
	same "nothing for what is no command" "" "$(completions nonsense --)"
	for last in "-k mine -t user" "--keyring=mine --keytype=user" "--keyri mine --keyt user"; do
		# shellcheck disable=SC2086 # words
		same "identities with $last" "$identity" "$(completions revoke $last NVMe)"
		# shellcheck disable=SC2086 # words
		same "host NQNs with $last" "$HOST" "$(completions list $last -n "$HOST")"
	done
	same "serials" 1 "$(completions revoke -k mine -t user 0x | wc -l)"
	same "messages" "" "$("$tool" complete revoke -k none '' 2>&1)"
}

# shellcheck disable=SC2030 # what bash sets for a completion, each time anew
# in_bash LINE: what readline would be given for it; a ~ marks what is one word to readline.
in_bash() (
	COMP_LINE=${1//"~"/}
	IFS=$' ~' read -ra COMP_WORDS <<<"$1"
	COMP_WORDS[0]=$tool
	[[ $1 != *[\ =~] ]] || COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMP_LINE="$tool ${COMP_LINE#* }" COMP_POINT=${#COMP_LINE}
	_nvme_tls
	printf '%s\n' "${COMPREPLY[@]}"
)

case_bash_is_given_what_readline_replaces() {
	local digest

	# shellcheck source=src/nvme-tls/completion/nvme-tls.bash
	. "$completion" || fail "the completion of bash"
	RING=@s
	digest=$(t gen --insert -I1 -n nqn.h:a -c $SUBSYS | sed -n 's/^NVMe1.* //p')
	same "a command" "revoke" "$(in_bash "nvme-tls rev")"
	same "an option" "--subsysnqn=" "$(in_bash "nvme-tls gen --sub")"
	same "a value behind =" "0 1" "$(in_bash "nvme-tls gen --identity~=" | xargs)"
	same "a value" "0 1" "$(in_bash "nvme-tls gen -I " | xargs)"
	same "an identity" "NVMe1R01\\ nqn.h:a\\ nqn.io-1\\ $digest" \
		"$(in_bash "nvme-tls revoke -k @s -t user NVMe1")"
	same "a name behind its colon" "a" "$(in_bash "nvme-tls list -k @s -t user -n nqn.h~:~")"
}

case_host_alone_means_all_its_keys() {
	local subsys
	for subsys in nqn.io-1 nqn.io-2; do
		t gen --insert --hostnqn=nqn.h --subsysnqn=$subsys --keyfile=kf >/dev/null || fail "gen"
		t gen --insert --hostnqn=nqn.h2 --subsysnqn=$subsys --keyfile=kf >/dev/null || fail "gen"
	done
	same "keys of the host" 2 "$(t list --hostnqn=nqn.h --json | jq length)"
	t revoke --hostnqn=nqn.h --keyfile=kf >/dev/null || fail "revoke"
	same "keys left" "nqn.h2 nqn.h2" "$(t list --json | jq -r '.[].hostnqn' | xargs)"
	same "lines left" 2 "$(grep -c nqn.h2 kf)"
	same "lines" 2 "$(wc -l <kf)"
	returns 4 t revoke --hostnqn=nqn.h 2>err
	has err 'no key for host nqn.h:'
}

case_key_file_is_changed_without_a_keyring() {
	local RING=none
	t gen --quiet "${PAIR[@]}" --keyfile=kf >psk || fail "gen"
	t gen --quiet >psk2 || fail "gen"
	returns 0 t insert --hostnqn=nqn.h --subsysnqn=nqn.io-2 --keyfile=kf psk2 >/dev/null
	same "lines" 2 "$(wc -l <kf)"
	cp kf before
	t rotate --quiet "${PAIR[@]}" --keyfile=kf >psk3 || fail "rotate"
	same "lines" 2 "$(wc -l <kf)"
	same "lines that have changed" 1 "$(diff before kf | grep -c '^>')"
	returns 5 t list --keyfile=kf --keyring=mine >/dev/null
	returns 0 t list --keyfile=kf --json >out
	same "keys" 2 "$(jq length out)"
	returns 0 t revoke "${PAIR[@]}" --keyfile=kf >/dev/null
	same "lines" 1 "$(wc -l <kf)"
	returns 4 t revoke "${PAIR[@]}" --keyfile=kf 2>err
	has err 'key file kf has no key'
	for command in revoke insert; do
		returns 2 t $command --hostnqn=nqn.h --subsysnqn=nqn.io-2 </dev/null 2>err psk2
	done
	returns 2 t insert "${PAIR[@]}" psk2 2>err
	has err 'give --keyfile'
	same "keys in the keyring" 0 "$(RING=mine t list --json | jq length)"
}

case_list_tells_where_key_file_and_keyring_differ() {
	local n
	for n in 1 2 3; do
		t gen --insert --hostnqn=nqn.h --subsysnqn=nqn.io-$n --keyfile=kf >/dev/null || fail "gen"
	done
	returns 0 t list --keyfile=kf >out
	! grep -q '!' out || fail "a problem where there is none: $(cat out)"
	same "serials" "$(t list --json | jq -r '.[].serial' | sort)" \
		"$(t list --keyfile=kf --json | jq -r '.[].serial' | sort)"
	t revoke --hostnqn=nqn.h --subsysnqn=nqn.io-1 >/dev/null || fail "revoke"
	t gen --insert --force --hostnqn=nqn.h --subsysnqn=nqn.io-2 >/dev/null || fail "gen"
	t gen --insert --hostnqn=nqn.h --subsysnqn=nqn.io-4 >/dev/null || fail "gen"
	returns 5 t list --keyfile=kf --json >out
	same "differences" "nqn.io-1 not-loaded,nqn.io-2 other-key,nqn.io-3 null,nqn.io-4 not-in-file" \
		"$(jq -r '.[] | "\(.subsysnqn) \(.difference)"' out | sort | paste -sd,)"
	returns 5 t list --keyfile=kf --subsysnqn=nqn.io-1 >out
	has out 'keyring mine does not have it: nvme-tls import puts it there'
	returns 0 t list --keyfile=kf --subsysnqn=nqn.io-3 >out
	echo "no key" >>kf
	returns 3 t list --keyfile=kf 2>err >/dev/null
	has err 'kf, line 4: '
}

case_dry_run_knows_what_is_loaded() {
	local n old before
	for n in 1 2 3; do
		t gen --insert --hostnqn=nqn.h --subsysnqn=nqn.io-$n --keyfile=kf >/dev/null || fail "gen"
	done
	t revoke --hostnqn=nqn.h --subsysnqn=nqn.io-1 >/dev/null || fail "revoke"
	t gen --insert --force --hostnqn=nqn.h --subsysnqn=nqn.io-2 >/dev/null || fail "gen"
	old=$(t list --subsysnqn=nqn.io-2 --json | jq -r '.[].serial_hex')
	before=$(top)
	returns 0 t import --dry-run kf >out
	has out '^would import .*nqn.io-1$'
	has out "^would import .*nqn.io-2 in the place of 0x$old$"
	has out '^there already: .*nqn.io-3 as 0x'
	has out '^2 to import, 1 there already, 0 bad lines; nothing was changed$'
	same "the keyring" "$before" "$(top)"
	RING=nowhere
	returns 0 t import --dry-run kf 2>/dev/null >out
	has out '^3 to import, 0 there already'
}

case_json_of_an_import_tells_of_refused_keys() {
	t gen "${PAIR[@]}" --keyfile=kf >/dev/null || fail "gen"
	keyctl setperm %keyring:mine 0x1b1b0000 # everything but to write
	returns 1 t import --json kf >out 2>/dev/null
	same "what became of it" "1 false permission denied" "$(jq -r '"\(.failed) \(.keys[0].imported) \(.keys[0].problem)"' out)"
}

case_key_ends_when_it_was_told_to() {
	t gen --insert "${PAIR[@]}" --expires=2h --keyfile=kf >/dev/null || fail "gen"
	t list >out
	has out ' (119m|120m|1h|2h) '
	t gen --quiet >psk || fail "gen"
	t rotate "${PAIR[@]}" --keydata=psk --expires=7d >/dev/null || fail "rotate"
	t list >out
	has out ' (6d|7d|1w) '
	t insert "${PAIR[@]}" --expires=90s psk >/dev/null || fail "insert of what is there"
	same "expiry" "true" "$(t list --json | jq '.[0].expiry | test("^[0-9]+s$|^1m$")')"
	keyctl clear %keyring:mine
	t import --expires=4w kf >/dev/null || fail "import"
	t list >out
	has out ' (3w|4w|2[78]d) '
	t insert "${PAIR[@]}" --force --expires=1 psk >/dev/null || fail "insert"
	for _ in $(seq 100); do [[ $(t check "${PAIR[@]}" psk) == *'not loaded' ]] && break; sleep 0.1; done
	returns 4 t check "${PAIR[@]}" psk >/dev/null
	for bad in 0 -1 1y 5h30m 99999999999 h ''; do
		returns 2 t insert "${PAIR[@]}" "--expires=$bad" psk 2>err
		has err '--expires takes a time'
	done
	returns 2 t gen "${PAIR[@]}" --expires=1h 2>/dev/null
}

run_cases "$@"
