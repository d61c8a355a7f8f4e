#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nvme-tls never loses a key or replaces one unasked: whatever fails, keyring and key file are as they
# were. As any user; cases that need root's file attributes or mounts are scenarios of the guests.
# shellcheck source=tests/unit/key-tool.sh
. "$(dirname "$0")/key-tool.sh"

# A keyring with two keys, and a key file that has them both: two commands have something to change.
both() {
	t gen --insert "${PAIR[@]}" --keyfile=keys >old.psk || fail "gen"
	t gen --insert --hostnqn="$HOST" --subsysnqn=nqn.other --keyfile=keys >/dev/null || fail "gen"
	t gen >new.psk || fail "gen"
	{ cat keys && echo "# a comment"; } >import
	sed -i "s|^\(NVMe0R01 $HOST $SUBSYS\) .*|\1 $(head -1 new.psk)|" import
	chmod 600 import
}
# Everything that a command can change: bytes and serials of the keyring, the key file, other files.
state() {
	t export
	t list --json | jq -c '.[] | [.serial, .identity]'
	cat keys
	stat -c %a keys
	ls -A
}
# Every command that changes something, by its name.
change() {
	case $1 in
	gen) t gen --insert --force "${PAIR[@]}" --keyfile="${2:-keys}" ;;
	insert) t insert --force "${PAIR[@]}" --keyfile="${2:-keys}" new.psk ;;
	rotate) t rotate "${PAIR[@]}" --keyfile="${2:-keys}" ;;
	rotate-ring) t rotate "${PAIR[@]}" ;;
	rotate-keydata) t rotate "${PAIR[@]}" --keyfile="${2:-keys}" --keydata=new.psk ;;
	revoke) t revoke "${PAIR[@]}" --keyfile="${2:-keys}" ;;
	import) t import import ;;
	esac
}
changes=(gen insert rotate rotate-ring rotate-keydata revoke import)

case_output_that_fails_changes_nothing() {
	local way how before

	both
	touch out err
	before=$(state)
	for way in full closed broken; do
		for how in "${changes[@]}"; do
			case $way in
			full) change "$how" >/dev/full 2>err && fail "$how to a full disk succeeds" ;;
			closed) change "$how" >&- 2>err && fail "$how without output succeeds" ;;
			broken)
				# A pipe whose reader has gone for certain.
				exec 3> >(exit)
				wait $!
				change "$how" >&3 2>err && fail "$how to nobody succeeds"
				exec 3>&-
				;;
			esac
			has err 'cannot write to standard output'
			has err 'nothing was changed'
			same "everything after $how, $way" "$before" "$(state)"
		done
	done
	for how in "${changes[@]}"; do change "$how" >/dev/null 2>&1 || change gen >/dev/null; done
}

case_output_goes_into_no_key_file() {
	local closed

	both
	for closed in '<&-' '>&-' '2>&-' '<&- >&-' '>&- 2>&-' '<&- >&- 2>&-'; do
		# A new file gets the lowest descriptor that is free.
		eval "change rotate new >/dev/null 2>&1 $closed"
		[[ ! -e new ]] || same "the new key file after $closed" "$(t export "${PAIR[@]}")" "$(cat new)"
		[[ $closed != *'>&-'* || $closed == 2* || ! -e new ]] || fail "rotate succeeds with $closed"
		rm -f new
	done
}

case_key_file_that_cannot_be_written_changes_nothing() {
	local way how before path

	both
	mkdir folder
	ln -s nowhere dangling
	: >err
	before=$(state)
	for way in missing/keys folder dangling big limit; do
		for how in gen insert rotate rotate-keydata revoke; do
			path=$way
			case $way in
			big) truncate -s 65M big && chmod 600 big ;;
			limit) path=keys ;;
			esac
			(
				[[ $way != limit ]] || ulimit -f 0
				change "$how" "$path"
			) 2>&1 >/dev/null | cat >err
			((PIPESTATUS[0])) || fail "$how into $way succeeds"
			rm -f big
			[[ -s err ]] || fail "$how into $way says nothing"
			same "everything after $how into $way" "$before" "$(state)"
		done
	done
}

case_key_file_has_no_limit_below_64_mib() {
	local key

	t gen --hostnqn="$HOST" --subsysnqn=nqn.last --keyfile=keys >/dev/null || fail "gen"
	key=$(cut -d' ' -f4 keys)
	awk -v key="$key" 'BEGIN { for (i = 0; i < 20000; i++) print "NVMe0R01 nqn.h nqn.io-" i " " key }' >>keys
	at=$(stat -c %s keys)
	((at > 1048576)) || fail "the file is small"
	t gen --hostnqn="$HOST" --subsysnqn=nqn.more --keyfile=keys >/dev/null || fail "gen into it"
	same "keys that import takes" "20002 to import, 0 there already, 0 bad lines; nothing was changed" \
		"$(t import --dry-run keys | tail -1)"
	# What would no longer be read is not written.
	truncate -s $((64 * 1024 * 1024 - 10)) keys
	returns 1 t gen --hostnqn="$HOST" --subsysnqn=nqn.toomuch --keyfile=keys >/dev/null 2>err
	has err 'longer than 64 MiB'
	same "its size" $((64 * 1024 * 1024 - 10)) "$(stat -c %s keys)"
}

# in_mounts COMMAND...: where mounts can be made: root's own, or those of a user namespace; elsewhere not.
in_mounts() {
	local way=-rm

	((EUID)) || way=-m
	unshare $way true 2>/dev/null || { echo "# no mount namespaces here"; return 0; }
	RING=$(keyctl search @s keyring mine)
	# shellcheck disable=SC2163 # the function of that name
	export -f t fail same has returns change state "$1"
	export RING tool HOST SUBSYS
	# shellcheck disable=SC2016 # for the shell inside
		PAIR_WORDS="${PAIR[*]}" unshare $way bash -c 'PAIR=($PAIR_WORDS); "$@"' mounts "$@"
}

overwritten() {
	local inode
	mount --bind keys keys || exit 1
	inode=$(stat -c %i keys)
	for how in gen insert rotate revoke; do
		change $how >/dev/null || fail "$how into a mounted file"
		same "the key file after $how" "$(t export | sort)" "$(sort keys)"
		same "files" "$FILES" "$(ls -A)"
	done
	same "its inode" "$inode" "$(stat -c %i keys)"
}

case_key_file_that_is_a_mount_is_overwritten() {
	both
	FILES=$(ls -A) in_mounts overwritten
}

# The file takes no byte once the keyring has been changed: that is undone, to the very serials.
undone() {
	local before how
	mount --bind keys keys && mount -o remount,bind,ro keys || exit 1
	: >err
	before=$(state)
	for how in gen insert rotate rotate-keydata revoke; do
		change $how >/dev/null 2>err && fail "$how into a read-only file succeeds"
		has err 'nothing was changed'
		same "everything after $how" "$before" "$(state)"
	done
}

case_undone_change_keeps_the_serials() {
	both
	in_mounts undone
}

case_crash_while_a_file_is_overwritten_loses_nothing() {
	both
	cp -p keys .keys.copy
	head -c 100 keys >torn && cat torn >keys
	same "keys that a reader finds" 2 "$(t import --dry-run keys | grep -cE '^(would import|there already)')"
	t gen --hostnqn="$HOST" --subsysnqn=nqn.third --keyfile=keys >/dev/null || fail "gen"
	same "lines after the next change" 3 "$(wc -l <keys)"
	[[ ! -e .keys.copy ]] || fail "the copy is still there"
}

case_another_key_is_replaced_by_force_only() {
	local before

	both
	touch out err
	before=$(state)
	returns 5 t gen --insert "${PAIR[@]}" >out 2>err
	has err 'has another key, 0x[0-9a-f]{8}, under "NVMe0R01 nqn.h nqn.io-1": nvme-tls rotate'
	returns 5 t gen --insert "${PAIR[@]}" --keyfile=keys >out 2>err
	returns 5 t gen "${PAIR[@]}" --keyfile=keys >out 2>err
	has err 'the key file has another key'
	returns 5 t insert "${PAIR[@]}" new.psk >out 2>err
	returns 5 t insert "${PAIR[@]}" --keyfile=keys new.psk >out 2>err
	returns 5 t insert --identity="NVMe0R01 $HOST $SUBSYS" new.psk >out 2>err
	touch out err
	same "everything" "$before" "$(state)"

	returns 0 t insert "${PAIR[@]}" --keyfile=keys old.psk >out
	has out '^there already as 0x'
	returns 0 t insert "${PAIR[@]}" --keyfile=keys --force new.psk >out
	has out '^Inserted TLS key 0x[0-9a-f]{8} in the place of 0x[0-9a-f]{8}$'
	has out 'the key file.s other key of this identity is replaced'
	same "the key file" "$(t export | sort)" "$(sort keys)"
	returns 0 t import import >out
	has out '^NVMe0R01 nqn.h nqn.io-1 as 0x[0-9a-f]{8} in the place of 0x[0-9a-f]{8}$'
	# The file may only have what the keyring lacks, and the other way round.
	t revoke "${PAIR[@]}" >/dev/null
	returns 5 t insert "${PAIR[@]}" --keyfile=keys old.psk 2>err
	same "keys after the refusal" 1 "$(t list --json | jq length)"
}

case_nothing_is_made_where_there_is_nothing_to_do() {
	both
	returns 1 t revoke "${PAIR[@]}" --keyfile=mistyped 2>err
	has err 'there is no key file mistyped'
	returns 4 t export --identity="NVMe0R01 $HOST nqn.none" --keyfile=none >out 2>err
	same "output" "" "$(cat out)"
	returns 4 t rotate --hostnqn="$HOST" --subsysnqn=nqn.none --keyfile=none 2>err
	[[ ! -e mistyped && ! -e none && ! -e .none.new ]] || fail "a file was made"
	same "keys" 2 "$(t list --json | jq length)"
}

case_revoke_says_all_that_it_does() {
	local identity="NVMe0R01 $HOST $SUBSYS"

	both
	# The identity and its pair are one key.
	returns 0 t revoke "${PAIR[@]}" "$identity" --keyfile=keys >out
	same "lines of output" 2 "$(wc -l <out)"
	has out "^revoked 0x[0-9a-f]{8} $identity$"
	has out "^taken out of keys: $identity$"
	# A line that only the file has.
	t gen "${PAIR[@]}" --keyfile=keys >/dev/null || fail "gen"
	returns 0 t revoke "$identity" --keyfile=keys >out
	same "output" "taken out of keys: $identity" "$(cat out)"
	t gen "${PAIR[@]}" --keyfile=keys >/dev/null || fail "gen"
	same "JSON" "$identity keys" \
		"$(t revoke "${PAIR[@]}" --keyfile=keys --json | jq -r '.[] | .identity + " " + .keyfile')"
	returns 4 t revoke "$identity" --keyfile=keys 2>err
}

case_last_line_of_an_identity_is_imported_once() {
	local first

	both
	first=$(t export -c nqn.other | cut -d' ' -f4)
	sed -n "s|^\(NVMe0R01 $HOST $SUBSYS\) .*|\1 $first|p" keys >twice
	cat keys >>twice && chmod 600 twice
	keyctl clear "%keyring:mine"
	returns 0 t import twice >out 2>err
	has err 'line [23]: "NVMe0R01 nqn.h nqn.io-1" has a key in line 1 of twice already; the last one counts'
	has out '^2 imported, 0 there already'
	same "what the keyring has" "$(sort keys)" "$(t export | sort)"
	serials >before
	returns 0 t import twice >out 2>err
	has out '^0 imported, 2 there already'
	same "serials" "$(cat before)" "$(serials)"
}

# Programs that take no lock add lines while rotations replace the file.
case_lines_of_writers_without_the_lock_stay() {
	local i writers=()

	both
	for writer in 1 2; do
		for ((i = 0; i < 200; i++)); do echo "# $writer $i" >>keys; done &
		writers+=($!)
	done
	for ((i = 0; i < 30; i++)); do change rotate >/dev/null || fail "rotate"; done
	wait "${writers[@]}"
	same "lines of the writers" 400 "$(grep -cE '^# [12] [0-9]+$' keys)"
	same "keys in it" "$(t export | sort)" "$(grep -v '^#' keys | sort)"
	same "hidden files" "" "$(compgen -G '.keys.*')"
}

case_rotations_at_once_follow_one_another() {
	local i pids=() loaded

	# Of version 1 every key has an identity of its own.
	t gen --insert --identity=1 "${PAIR[@]}" >/dev/null || fail "gen"
	for ((i = 0; i < 12; i++)); do
		t rotate "${PAIR[@]}" >"psk.$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || fail "a rotation failed"; done
	same "keys" 1 "$(t list --json | jq length)"
	loaded=0
	for ((i = 0; i < 12; i++)); do
		t check --identity=1 "${PAIR[@]}" "psk.$i" >/dev/null && ((loaded++))
	done
	same "rotations whose key is loaded" 1 $loaded
}

case_rotation_to_the_key_that_is_there_keeps_its_serial() {
	local before

	both
	t rotate "${PAIR[@]}" --keyfile=keys --keydata=new.psk >/dev/null || fail "rotate"
	before=$(state)
	returns 0 t rotate "${PAIR[@]}" --keyfile=keys --keydata=new.psk >/dev/null
	same "everything" "$before" "$(state)"
}

case_dangling_link_is_told() {
	ln -s nowhere keys
	for how in gen rotate revoke; do
		timeout 20 "$tool" gen "${PAIR[@]}" --keyfile=keys >/dev/null 2>err
		same "exit code" 1 $?
		has err 'symbolic link to something that does not exist'
	done
	returns 1 t import keys 2>err
	has err 'symbolic link to something that does not exist'
	[[ -L keys && ! -e nowhere ]] || fail "the link is another now"
}

case_secrets_of_dh_hmac_chap_are_no_bad_lines() {
	both
	echo "nqn.h DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:" >>keys
	returns 0 t import keys >out 2>err
	has out '0 bad lines'
	has err '^nvme-tls: 1 DH-HMAC-CHAP secrets are passed over'
	! grep -q ia6z err || fail "the secret is in the message"
	change rotate >/dev/null || fail "rotate"
	has keys '^nqn.h DHHC-1:00:ia6z'
}

case_slow_reader_gets_every_message() {
	awk 'BEGIN { for (i = 0; i < 10000; i++) print "bad " i }' >bad
	chmod 600 bad
	mkfifo pipe
	exec 3<>pipe
	t import --dry-run bad >/dev/null 2>&3 &
	# Nobody reads until the tool waits for that, or has ended.
	until ! state=$(sed -n 's/^State:\s*\(.\).*/\1/p' "/proc/$!/status" 2>/dev/null) || [[ $state == S ]]; do
		sleep 0.01
	done
	cat pipe >messages 3>&- &
	exec 3>&-
	wait
	same "messages" 10000 "$(grep -c '^nvme-tls: bad, line [0-9]*: ' messages)"
}

case_control_characters_reach_neither_terminal_nor_file() {
	local odd

	t gen >psk || fail "gen"
	for odd in $'NVMe0R01 nqn.h nqn.a\nNVMe0R01 nqn.h nqn.b' $'NVMe0R01 nqn.h nqn.\e[31mx' \
		$'NVMe0R01 nqn.h nqn.\xc2\x9b31mx' $'NVMe0R01 nqn.h nqn.a\r' $'NVMe0R01 nqn.h\tx nqn.a' \
		$'NVMe0R01 nqn.h nqn.\u202ea'; do
		returns 3 t insert --identity="$odd" --keyfile=keys psk >out 2>>err
		[[ ! -e keys ]] || fail "a file was made for $(printf %q "$odd")"
		returns 2 t gen --hostnqn=nqn.h --subsysnqn="${odd#NVMe0R01 nqn.h }" --keyfile=keys >out 2>>err
		t revoke "$odd" >>out 2>>err && fail "revoke finds it"
		t import "$odd" >>out 2>>err && fail "import finds it"
		t list --keyring="$odd" >>out 2>>err && fail "list finds it"
		"$tool" "$odd" >>out 2>>err && fail "it is a command"
		# Another program's key has such a name all the same.
		echo -n "12345678901234567890123456789012" | keyctl padd user "$odd" "%keyring:mine" >/dev/null
	done
	# shellcheck disable=SC2046 # several serials
	{ t list; t list --json; t export; returns 0 t revoke $(serials); } >>out 2>>err
	! LC_ALL=C grep -aP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae' out err || fail "a control character came through"
}

run_cases "$@"
