# SPDX-License-Identifier: GPL-2.0-or-later
# How a guest is booted on this machine: which QEMU, which acceleration, which disks.
# shellcheck shell=bash disable=SC2034,SC2153 # the parts of guest share their variables

# find_qemu CPU PACKAGE: fills the array QEMU. QEMU 10 emulates these guests in half the time of 7.2 and,
# unlike 7.2, with a thread for each CPU; where the system's is older, the one of the backports is unpacked
# into the cache, and the system stays as it is.
find_qemu() {
	local cpu=$1 package=$2 dir=$CACHE/qemu major
	[[ $cpu == x86_64 ]] || dir+=-$cpu
	if [[ ${TLSHD_TEST_QEMU:-} && $cpu == x86_64 ]]; then
		QEMU=("$TLSHD_TEST_QEMU")
		return
	fi
	QEMU=("qemu-system-$cpu")
	major=$(qemu_major)
	((${major:-0} < 10)) || return 0
	[[ -e $dir/tried ]] || locked qemu fetch_qemu "$dir" "$cpu" "$package"
	if [[ -x $dir/usr/bin/qemu-system-$cpu ]]; then
		QEMU=("$dir/usr/bin/qemu-system-$cpu" -L "$dir/usr/share/qemu" -L "$dir/usr/share/seabios")
	fi
}

qemu_major() { { "${QEMU[0]}" --version 2>/dev/null || true; } | sed -nE '1s/.*version ([0-9]+).*/\1/p'; }

fetch_qemu() {
	local dir=$1 cpu=$2 package=$3 codename apt
	[[ ! -e $dir/tried ]] || return 0
	rm -rf "$dir" "$dir.new"
	mkdir -p "$dir.new/apt/parts" "$dir.new/apt/lists/partial" "$dir.new/debs"
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(apt_mirror) $codename-backports main" \
		>"$dir.new/apt/parts/backports.list"
	apt=(apt-get -q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$dir.new/apt/parts"
		-o "Dir::State::Lists=$dir.new/apt/lists" -o APT::Sandbox::User=root
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
	if (
		cd "$dir.new/debs"
		"${apt[@]}" update &&
			"${apt[@]}" download "$package" qemu-system-common qemu-system-data seabios &&
			for deb in *.deb; do dpkg-deb -x "$deb" ..; done &&
			"../usr/bin/qemu-system-$cpu" --version
	) >"$CACHE/qemu.log" 2>&1; then
		say "QEMU of $codename-backports unpacked into $dir: twice as quick as an older one"
	else
		say "no newer QEMU from $codename-backports ($CACHE/qemu.log): the system's does it, slowly"
		rm -rf "$dir.new/usr"
	fi
	rm -rf "$dir.new/apt" "$dir.new/debs"
	touch "$dir.new/tried"
	mv "$dir.new" "$dir"
}

# /dev/kvm can be there and not run a stock kernel: where kvm_pvm is, it never does; elsewhere a
# guest kernel is asked to start and to say its first word.
kvm_works() {
	local kernel=$1 first
	[[ -w /dev/kvm && ! -e /sys/module/kvm_pvm ]] || return 1
	first=$(timeout 20 "${QEMU[@]}" -accel kvm -cpu host -m 512 -nodefaults -display none -no-reboot \
		-serial stdio -kernel "$kernel" -append 'console=ttyS0 panic=-1' </dev/null 2>&1 |
		head -c 4000) || true
	[[ $first == *"Linux version"* ]]
}

acceleration() {
	local kernel=$1
	if [[ ${TLSHD_TEST_ACCEL:-} ]]; then
		echo "$TLSHD_TEST_ACCEL"
	elif kvm_works "$kernel"; then
		echo kvm
	else
		# QEMU 7.2 crashes guests at random with a thread for each CPU.
		if (($(qemu_major) >= 10)); then echo tcg,thread=multi; else echo tcg,thread=single; fi
	fi
}

# Takes guest, kernel, init ("script" or "systemd"), kind of project build, MB, the job's tar;
# fills the array QEMU_ARGS, a whole command. A script may have set GUEST_DISK, another disk than the guest's,
# and GUEST_APPEND, what comes at the end of the kernel's command line.
qemu_arguments() {
	local guest=$1 kernel=$2 init=$3 kind=$4 mb=$5 job=$6 dir accel cpu=max append project
	dir=$(guest_dir "$guest")
	find_qemu x86_64 qemu-system-x86
	[[ -d $dir/kernels/$kernel ]] || die "the guest $guest has no kernel '$kernel'"
	accel=$(acceleration "$dir/kernels/$kernel/vmlinuz")
	QEMU_HOW="$(basename "${QEMU[0]}") $(qemu_major), $accel"
	[[ $accel != kvm ]] || cpu=host
	append="console=ttyS0 quiet panic=-1 log_buf_len=4M hung_task_panic=0 vm=$guest-$kernel"
	case $init in
	script) append+=" INIT=/opt/tests/vm/inside/run" ;;
	shell) append+=" INIT=/opt/tests/vm/inside/shell" ;;
	systemd) append+=" INIT=/sbin/init systemd.show_status=false" ;;
	esac
	project=$(project_tar "$guest" "$kind")
	[[ -e $project ]] || { project=$dir/empty.tar; tar -cf "$project" -T /dev/null; }
	QEMU_ARGS=("${QEMU[@]}" -accel "$accel" -cpu "$cpu" -smp 2 -m "$mb" -display none -nodefaults
		-kernel "$dir/kernels/$kernel/vmlinuz" -initrd "$dir/kernels/$kernel/initrd"
		-append "$append${GUEST_APPEND:+ $GUEST_APPEND}"
		-drive "file=${GUEST_DISK:-$dir/disk.img},format=raw,if=virtio,snapshot=on"
		-drive "file=$project,format=raw,if=virtio,readonly=on"
		-drive "file=$job,format=raw,if=virtio,readonly=on"
		-device virtio-rng-pci)
}
