# SPDX-License-Identifier: GPL-2.0-or-later
# What the host side of the guests shares: where things are kept, how it speaks, locks.
# shellcheck shell=bash disable=SC2034,SC2153 # the parts of guest share their variables

VM=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SOURCE=$(cd "$VM/../.." && pwd)
CACHE=${TLSHD_TEST_CACHE:-/var/cache/tlshd-tests}
GUESTS=(trixie forky)
export LC_ALL=C.UTF-8

# Who is a guest's first process where a scenario does not mind. With systemd, its journal and udev, emulated
# scenarios take half as long again.
DEFAULT_INIT=script
# Where they do not mind the kernel they go with those that do, and save a boot.
default_kernel() { if [[ $1 == trixie && $2 == systemd ]]; then echo stock; else echo cloud; fi; }

say() { echo "$*" >&2; }
die() { say "guest: $*"; exit 1; }

known_guest() {
	local g
	for g in "${GUESTS[@]}"; do [[ $g == "$1" ]] && return; done
	die "no guest is called '$1': the guests are ${GUESTS[*]}"
}

# Runs a command while holding a lock of that name; the lock dies with the command.
locked() {
	local name=$1
	shift
	mkdir -p "$CACHE/locks"
	(
		flock -n 9 || { say "waiting for the lock $name"; flock 9; }
		"$@"
	) 9>"$CACHE/locks/$name"
}

# The first of the given lines that this machine's apt would fetch its own release from.
apt_mirror() {
	local codename site
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	site=$(apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT) $(CREATED_BY)' |
		awk -v r="$codename" '$2 == r && $3 == "main" && $4 == "Packages" { print $1; exit }')
	[[ $site ]] || die "apt has no source for $codename: the guests are built from the same mirror"
	echo "$site"
}

apt_proxy() {
	local proxy=
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	[[ ! $proxy ]] || export http_proxy=$proxy
}
