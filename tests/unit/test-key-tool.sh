#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nvme-tls on keyrings and key files of its own, as any user: what each case promises is its name.
# Usage: test-key-tool.sh NVME-TLS [CASE...]; prints TAP.
set -uo pipefail

tool=$(realpath "$1")
shift
if [[ ! ${IN_SESSION:-} ]]; then
	keyctl session - true >/dev/null 2>&1 || { echo "1..0 # SKIP no keyctl, or no keyrings here"; exit 0; }
	IN_SESSION=1 exec keyctl session - "$0" "$tool" "$@" 2> >(grep -v '^Joined session keyring' >&2)
fi

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
cd "$scratch" || exit 1
HOST=nqn.h SUBSYS=nqn.io-1 PAIR=(--hostnqn=nqn.h --subsysnqn=nqn.io-1)

# The tool on keys of type "user" in the keyring of the case, which anybody may have.
t() {
	local command=$1
	shift
	"$tool" "$command" --keyring="$RING" --keytype=user "$@"
}
fail() { echo "# $*"; exit 1; }
same() { [[ $2 == "$3" ]] || fail "$1: expected '$2', got '$3'"; }
has() { grep -qE -- "$2" "$1" || fail "no line of $1 matches '$2': $(cat "$1")"; }
# returns CODE COMMAND...
returns() {
	local code=0
	"${@:2}" || code=$?
	same "exit code of ${*:2}" "$1" "$code"
}
serials() { t list --json | jq -r '.[].serial'; }
hex() { printf '%08x' "$1"; }

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
	returns 3 t check keys 2>err
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
		RING=mine
		keyctl newring mine @s >/dev/null || exit 1
		"case_$name"
	) && echo "ok $n $name" || echo "not ok $n $name"
	keyctl clear @s
done
