# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034 # who sources it uses them
# What the tests of nvme-tls as a program share: a session and a folder of their own, and TAP.
# Usage of such a test: TEST NVME-TLS [CASE...]
set -uo pipefail

tool=$(realpath "$1")
if [[ ! ${IN_SESSION:-} ]]; then
	keyctl session - true >/dev/null 2>&1 || { echo "1..0 # SKIP no keyctl, or no keyrings here"; exit 0; }
	IN_SESSION=1 exec keyctl session - "$0" "$@" 2> >(grep -v '^Joined session keyring' >&2)
fi

scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
cd "$scratch" || exit 1
# Where a user who is not root has the lock.
export XDG_RUNTIME_DIR=$scratch
HOST=nqn.h SUBSYS=nqn.io-1 PAIR=(--hostnqn=nqn.h --subsysnqn=nqn.io-1)

# The tool on keys of type "user" in the keyring of the case, which anybody may have.
t() {
	local command=$1
	shift
	# shellcheck disable=SC2086 # nvme-cli has commands of two words
	"$tool" $command --keyring="$RING" --keytype=user "$@"
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

# run_cases TOOL [CASE...]: every function case_NAME of the script, each with a folder and a keyring.
run_cases() {
	local all name n=0

	shift
	all=$(declare -F | sed -n 's/^declare -f case_//p')
	(($#)) && all=$*
	# shellcheck disable=SC2086 # a list of words
	set -- $all
	echo "1..$#"
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
}
