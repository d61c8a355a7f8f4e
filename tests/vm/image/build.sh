# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the root, the disk image and the initrds of a guest; all that defines them is in this folder.
# shellcheck shell=bash disable=SC2034,SC2153 # the parts of guest share their variables

recipe_hash() { (cd "$VM/image" && sha256sum ./* && echo "$1") | sha256sum | cut -c1-12; }
guest_dir() { echo "$CACHE/$1-$(recipe_hash "$1")"; }

build_guest() {
	local guest=$1 dir
	dir=$(guest_dir "$guest")
	[[ -e $dir/complete ]] || locked "$guest" build_guest_locked "$guest" "$dir"
	# Held until this command ends, by all it starts too.
	local fd
	exec {fd}<"$dir"
	flock -s "$fd"
	touch "$dir/complete"
}

# Images of older recipes go, but not while somebody works in one, nor within two hours of it: two
# clones that differ would take turns at building.
remove_old_guests() {
	local guest=$1 old
	rm -rf --one-file-system "$CACHE/$guest"-*.new
	for old in "$CACHE/$guest"-*; do
		[[ -d $old && ! $(find "$old/complete" -mmin -120 2>/dev/null) ]] || continue
		flock -n -x "$old" rm -rf --one-file-system "$old" || true
	done
}

build_guest_locked() {
	local guest=$1 dir=$2 start=$SECONDS
	[[ ! -e $dir/complete ]] || return 0
	say "building the guest $guest in $dir (a few minutes; log: $CACHE/$guest.log)"
	remove_old_guests "$guest"
	mkdir -p "$dir.new/kernels" "$CACHE/debs/$guest/partial"
	apt_proxy
	unshare --mount --pid --fork --kill-child bash -euo pipefail -c '
		for file in "$VM/host/common.sh" "$VM/image/build.sh"; do . "$file"; done
		build_root "$@"' guest "$guest" "$dir.new" >"$CACHE/$guest.log" 2>&1 ||
		{ tail -30 "$CACHE/$guest.log" >&2; die "building the guest $guest failed; log: $CACHE/$guest.log"; }
	touch "$dir.new/complete"
	mv "$dir.new" "$dir"
	say "the guest $guest is built, $((SECONDS - start)) s"
}

# Runs alone in its own mount and process namespaces.
build_root() {
	local guest=$1 dir=$2 root=$2/root mirror script=sid
	mirror=$(apt_mirror)
	[[ ! -e /usr/share/debootstrap/scripts/$guest ]] || script=$guest
	debootstrap --variant=minbase --cache-dir="$CACHE/debs/$guest" \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
		"$guest" "$root" "$mirror" "$script"

	printf 'path-exclude=/usr/share/%s/*\n' doc man locale info >"$root/etc/dpkg/dpkg.cfg.d/small"
	echo force-unsafe-io >>"$root/etc/dpkg/dpkg.cfg.d/small"
	echo "deb $mirror $guest main" >"$root/etc/apt/sources.list"
	# A mirror may lag, or be frozen at a date: what it has is what the guest is made of.
	echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/guest"
	echo 'APT::Sandbox::User "root";' >>"$root/etc/apt/apt.conf.d/guest"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	mount -t proc proc "$root/proc"
	mount --bind "$CACHE/debs/$guest" "$root/var/cache/apt/archives"

	local packages
	packages=$(sed -nE "/^#/d; /^[a-z]+:/!p; s/^$guest://p" "$VM/image/packages")
	in_root apt-get -q update
	# shellcheck disable=SC2086
	in_root apt-get -q install -y --no-install-recommends $packages
	unpack_kernels "$guest" "$dir"
	unpack_ktls_utils "$root"
	configure_root "$root" "$guest"
	umount "$root/var/cache/apt/archives" "$root/proc"

	mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=1 -L guest -d "$root" "$dir/disk.img" 6G
}

in_root() { DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }

# Kernels are unpacked, not installed: nothing in a guest has to make them bootable.
unpack_kernels() {
	local guest=$1 dir=$2 root=$2/root name package version deb modules
	while read -r _ name package; do
		mkdir -p "$root/kernel" "$root/usr/lib/modules"
		deb=$(in_root apt-get -s install --no-install-recommends "$package" |
			awk '/^Inst linux-(base|image|binary|modules)-[0-9]/ { print $2 }')
		# shellcheck disable=SC2086
		in_root sh -c 'cd /kernel && apt-get -q download "$@"' sh $deb
		for deb in "$root"/kernel/*.deb; do dpkg-deb -x "$deb" "$root/kernel/x"; done
		modules=$root/kernel/x/usr/lib/modules
		[[ -d $modules ]] || modules=$root/kernel/x/lib/modules
		version=$(ls "$modules")
		cp -a "$modules/." "$root/usr/lib/modules/"
		in_root depmod "$version"
		mkdir -p "$dir/kernels/$name"
		# Before 7.x the image was in /boot, since then it is beside its modules.
		cp "$root/kernel/x/boot/vmlinuz-$version" "$dir/kernels/$name/vmlinuz" 2>/dev/null ||
			mv "$root/usr/lib/modules/$version/vmlinuz" "$dir/kernels/$name/vmlinuz"
		make_initrd "$root" "$version" "$dir/kernels/$name/initrd"
		rm -rf "$root/kernel"
	done < <(grep "^$guest " "$VM/image/kernels")
}

make_initrd() {
	local root=$1 version=$2 out=$3 tree module file name
	tree=$(mktemp -d)
	mkdir -p "$tree/bin" "$tree/modules"
	cp "$(command -v busybox)" "$tree/bin/busybox"
	cp "$VM/image/init" "$tree/init"
	sed '/^#/d' "$VM/image/modules" | while read -r module; do
		in_root modprobe -S "$version" --show-depends "$module"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
		name=$(basename "$file" .xz)
		case $file in
		*.xz) xz -dc "$root/$file" >"$tree/modules/$name" ;;
		*) cp "$root/$file" "$tree/modules/$name" ;;
		esac
		echo "$name"
	done >"$tree/modules/order"
	(cd "$tree" && find . | busybox cpio -o -H newc 2>/dev/null | gzip -1) >"$out"
	rm -rf "$tree"
}

# ktls-utils is there to be compared with, and must not sit where ours is installed.
unpack_ktls_utils() {
	local root=$1
	in_root sh -c 'cd /tmp && apt-get -q download ktls-utils && dpkg-deb -x ktls-utils_*.deb /opt/ktls-utils && rm ktls-utils_*.deb'
	if in_root ldd /opt/ktls-utils/usr/sbin/tlshd | grep 'not found'; then
		echo "ktls-utils lacks a library"
		return 1
	fi
}

configure_root() {
	local root=$1 guest=$2
	echo "$guest" >"$root/etc/hostname"
	echo "127.0.0.1 localhost $guest" >"$root/etc/hosts"
	echo "/dev/vda / ext4 defaults,noatime 0 0" >"$root/etc/fstab"
	: >"$root/etc/machine-id"
	mkdir -p "$root/src" "$root/build" "$root/stage" "$root/opt/tests" "$root/etc/nvme"
	echo "nqn.2014-08.org.nvmexpress:uuid:befdec4c-2234-11b2-a85c-ca77c773af36" >"$root/etc/nvme/hostnqn"
	echo "befdec4c-2234-11b2-a85c-ca77c773af36" >"$root/etc/nvme/hostid"
	in_root passwd -d root
	local unit
	for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer getty@tty1.service systemd-firstboot.service \
		systemd-networkd.service systemd-timesyncd.service systemd-pcrmachine.service \
		nvmefc-boot-connections.service nvmf-autoconnect.service ldconfig.service \
		rpcbind.socket rpcbind.service nfs-server.service nfs-client.target nfs-blkmap.service \
		nfsdcld.service nfs-idmapd.service nfs-mountd.service fsidd.service rpc-statd.service \
		rpc-statd-notify.service auth-rpcgss-module.service proc-fs-nfsd.mount; do
		ln -sf /dev/null "$root/etc/systemd/system/$unit"
	done
	cat >"$root/etc/systemd/system/scenarios.service" <<-'UNIT'
		[Unit]
		Description=The scenarios that travelled on the second disk
		After=multi-user.target
		[Service]
		Type=exec
		ExecStart=/opt/tests/vm/inside/run
		[Install]
		WantedBy=default.target
	UNIT
	mkdir -p "$root/etc/systemd/system/default.target.wants"
	ln -s ../scenarios.service "$root/etc/systemd/system/default.target.wants/"
	rm -f "$root/usr/sbin/policy-rc.d"
	rm -rf "$root/var/lib/apt/lists"/*
}
