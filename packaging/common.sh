# SPDX-License-Identifier: GPL-2.0-or-later
# Roots in which packages are built and tried: those of the guests (tests/vm), below a layer of their own.
# shellcheck shell=bash disable=SC2034 # the scripts beside this one use the variables

PACKAGING=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VM=$(cd "$PACKAGING/../tests/vm" && pwd)
export VM PACKAGING
# shellcheck source=tests/vm/host/common.sh
. "$VM/host/common.sh"
# shellcheck source=tests/vm/image/build.sh
. "$VM/image/build.sh"

die() { say "packaging: $*"; exit 1; }

project_version() { sed -nE "s/^ +version: '([^']+)'.*/\1/p" "$SOURCE/meson.build" | head -1; }
# 1.0.0-rc1 comes before 1.0.0; in the versions of packages a tilde says so.
package_version() { project_version | sed 's/-/~/'; }
packages_dir() { echo "$SOURCE/build/packages/$1"; }

# Needs root; the guests' roots are built with chroot and mount.
need_root() {
	[[ $(id -u) == 0 ]] || die "run me as root: the roots are entered with chroot and mount"
	"$VM/../packages" guests
}

# The layer with the build's tools, kept beside the guest's root and gone when that goes.
tools_hash() { { cat "$PACKAGING/tools"; sed -n '/^Build-Depends:/,/^$/p' "$PACKAGING/debian/control"; } | sha256sum | cut -c1-8; }
tools_dir() { echo "$(guest_dir "$1")/packaging-$(tools_hash)"; }

prepare_tools() {
	build_guest "$1"
	prepare "$1" "$(tools_dir "$1")" install_tools "$(guest_dir "$1")/root"
}

# prepare_layer GUEST DIR FUNCTION: what the function installs in a root with the tools is kept in DIR, and is in
# the clean roots of a script that sets LAYER to DIR/upper.
prepare_layer() {
	prepare_tools "$1"
	prepare "$@" "$(tools_dir "$1")/upper:$(guest_dir "$1")/root"
}

# prepare GUEST DIR FUNCTION LOWER: what the function installs over these lower directories is kept in DIR.
prepare() { [[ -e $2/complete ]] || locked "$1-packaging" prepare_locked "$@"; }

prepare_locked() {
	local guest=$1 dir=$2 start=$SECONDS
	[[ ! -e $dir/complete ]] || return 0
	say "installing ${dir##*/} for $guest (log: $dir.log)"
	rm -rf --one-file-system "$dir"
	mkdir -p "$dir/upper" "$dir/work" "$dir/root"
	apt_proxy
	unshare --mount --pid --fork --kill-child bash -euo pipefail -c "
		. '$PACKAGING/common.sh'; $(declare -f)"'
		fill "$@"' packaging "$@" >"$dir.log" 2>&1 ||
		{ tail -20 "$dir.log" >&2; die "installing ${dir##*/} for $guest failed; log: $dir.log"; }
	touch "$dir/complete"
	say "${dir##*/} for $guest is installed, $((SECONDS - start)) s"
}

# Runs alone in its own mount and process namespaces.
fill() {
	local guest=$1 dir=$2 function=$3 lower=$4
	root=$dir/root
	mount -t overlay overlay -o "lowerdir=$lower,upperdir=$dir/upper,workdir=$dir/work" "$root"
	mount -t proc proc "$root/proc"
	mount --bind "$CACHE/debs/$guest" "$root/var/cache/apt/archives"
	in_root apt-get -q update
	"$function"
	umount "$root/var/cache/apt/archives" "$root/proc"
}

# The build's tools: in a layer of their own, which is beside the guest's root and gone when that goes.
install_tools() {
	rm -f "$root/etc/dpkg/dpkg.cfg.d/small"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	# What the guests have for their own builds goes, so that debian/control has to ask for it.
	# shellcheck disable=SC2046
	in_root apt-get -q purge -y meson ninja-build pkg-config pkgconf \
		$(in_root dpkg-query -W -f '${Package}\n' 'lib*-dev' | grep -v '^libc6-dev$')
	in_root apt-get -q autoremove -y
	# shellcheck disable=SC2046
	in_root apt-get -q install -y --no-install-recommends $(sed '/^#/d' "$PACKAGING/tools")
	mkdir -p "$root/pkg/tlshd"
	cp -r "$PACKAGING/debian" "$root/pkg/tlshd/"
	in_root sh -c 'cd /pkg/tlshd && apt-get -q build-dep -y --no-install-recommends ./'
	rm -rf "$root/pkg"
	in_root apt-get -q download ktls-utils
	mkdir -p "$root/opt/debs"
	mv "$root"/ktls-utils_*.deb "$root/opt/debs/"
}

# in_clean_root GUEST COMMAND ARG...: runs a function of these scripts with the guest's root, tools and all,
# at $root; what the function changes there is gone when it ends.
in_clean_root() {
	prepare_tools "$1"
	unshare --mount --pid --uts --fork --kill-child bash -euo pipefail -c "
		. '$PACKAGING/common.sh'; $(declare -f)"'
		enter_clean_root "$1"; shift; "$@"' packaging "$@"
}

enter_clean_root() {
	local guest=$1 dir scratch
	dir=$(tools_dir "$guest")
	scratch=$dir/root
	mount -t tmpfs tmpfs "$scratch"
	mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
	root=$scratch/root
	mount -t overlay overlay \
		-o "lowerdir=${LAYER:+$LAYER:}$dir/upper:$(guest_dir "$guest")/root,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
	mount -t proc proc "$root/proc"
	mount -t tmpfs tmpfs "$root/tmp"
	mount --bind /dev "$root/dev"
}

# copy_source DIR: the sources as they are in this clone, with what git does not know yet.
copy_source() {
	mkdir -p "$1"
	"$SOURCE/tests/sources" | tar -C "$SOURCE" -cT - | tar -xC "$1"
}
