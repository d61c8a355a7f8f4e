# SPDX-License-Identifier: GPL-2.0-or-later
# Builds this clone inside a guest's root, with the guest's compiler and libraries, at native speed.
# shellcheck shell=bash disable=SC2034,SC2153 # the parts of guest share their variables

# Two clones on one machine do not share builds.
CLONE=$(sha256sum <<<"$SOURCE" | cut -c1-8)
project_dir() { echo "$(guest_dir "$1")/build-$CLONE${2:+-$2}"; }
project_tar() { echo "$(project_dir "$@").tar"; }

command_project() {
	local guest=${1:?} kind=
	shift
	known_guest "$guest"
	[[ ${1:-} != --sanitize ]] || kind=sanitize
	build_project "$guest" "$kind"
}

# The second argument is "sanitize" or empty.
build_project() {
	local guest=$1 kind=${2:-} start=$SECONDS
	build_guest "$guest"
	[[ -e $SOURCE/meson.build ]] || { say "no meson.build: nothing to build for $guest"; return 0; }
	locked "$guest-project$kind" build_project_locked "$guest" "$kind"
	say "the project is built for $guest${kind:+ ($kind)}, $((SECONDS - start)) s"
}

build_project_locked() {
	local guest=$1 kind=$2 dir build log args=()
	dir=$(guest_dir "$guest")
	build=$(project_dir "$guest" "$kind")
	log=$build.log
	mkdir -p "$build"
	args=(--prefix=/usr --sysconfdir=/etc --localstatedir=/var --buildtype=debugoptimized)
	# The compiler and the libraries of a release to come deprecate things any day; tests/lint has the
	# warnings of a known one.
	args+=(-Dwerror=false)
	[[ $kind != sanitize ]] || args+=("-Db_sanitize=address,undefined" -Db_lundef=false)
	# shellcheck disable=SC2206
	args+=(${TLSHD_MESON_ARGS:-})
	unshare --mount --pid --fork --kill-child bash -euo pipefail -c '
		. "$VM/host/common.sh"; . "$VM/host/project.sh"
		build_in_root "$@"' guest "$dir/root" "$build" "$(project_tar "$guest" "$kind")" \
		"${args[@]}" >"$log" 2>&1 ||
		{ grep -E 'error|ERROR|FAILED' -A3 "$log" | head -60 >&2; die "the build for $guest failed; log: $log"; }
}

# The unit tests, natively, with the libraries of the guest.
command_unit() {
	local guest=${1:?which guest?} kind='' build
	known_guest "$guest"
	shift
	[[ ${1:-} != --sanitize ]] || { kind=sanitize; shift; }
	build_project "$guest" "$kind"
	build=$(project_dir "$guest" "$kind")
	rm -f "$build/meson-logs/testlog.json"
	unshare --mount --pid --fork --kill-child bash -euo pipefail -c '
		. "$VM/host/common.sh"; . "$VM/host/project.sh"
		enter_root "$1" "$2"
		chroot "$1" env LC_ALL=C.UTF-8 meson test -C /build --no-rebuild --timeout-multiplier 2 "${@:3}"' guest \
		"$(guest_dir "$guest")/root" "$build" "$@" >"$build.tests.log" 2>&1 || true
	[[ -s $build/meson-logs/testlog.json ]] || die "no unit test ran for $guest; log: $build.tests.log"
	"$VM/../meson-results" "$build/meson-logs/testlog.json" "$guest"
}

# What it mounts goes with its mount namespace.
enter_root() {
	local root=$1 build=$2
	mount --bind "$SOURCE" "$root/src"
	mount -o remount,bind,ro "$root/src"
	mount --bind "$build" "$root/build"
	mkdir -p "$root/ccache" "$CACHE/ccache-guests"
	mount --bind "$CACHE/ccache-guests" "$root/ccache"
	mount -t tmpfs tmpfs "$root/stage"
	mount -t tmpfs tmpfs "$root/tmp"
	mount -t proc proc "$root/proc"
	mount --bind /dev "$root/dev"
}

# Runs alone in its own mount and process namespaces.
build_in_root() {
	local root=$1 build=$2 out=$3 stage=$1/stage
	shift 3
	enter_root "$root" "$build"
	if [[ "$*" != "$(cat "$build/meson-args" 2>/dev/null)" ]]; then
		find "$build" -mindepth 1 -delete
		chroot "$root" env LC_ALL=C.UTF-8 meson setup "$@" /build /src
		echo "$*" >"$build/meson-args"
	fi
	chroot "$root" env LC_ALL=C.UTF-8 CCACHE_DIR=/ccache CCACHE_MAXSIZE=1G ninja -C /build
	chroot "$root" env LC_ALL=C.UTF-8 meson install -C /build --no-rebuild --destdir /stage

	# Test programs that meson built but does not install.
	mkdir -p "$stage/opt/tests/bin"
	find "$build/tests" -type f -perm /111 ! -name '*.so' ! -path '*.p/*' \
		-exec cp -t "$stage/opt/tests/bin" {} + 2>/dev/null || true
	tar -C "$stage" --owner=0 --group=0 -cf "$out.new" .
	mv "$out.new" "$out"
}
