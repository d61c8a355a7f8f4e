# SPDX-License-Identifier: GPL-2.0-or-later
# How a guest is booted on this machine: which QEMU, which acceleration, which disks.
# shellcheck shell=bash

QEMU=${TLSHD_TEST_QEMU:-qemu-system-x86_64}

# /dev/kvm can be there and not run a stock kernel: where kvm_pvm is, it never does; elsewhere a
# guest kernel is asked to start and to say its first word.
kvm_works() {
	local kernel=$1 first
	[[ -w /dev/kvm && ! -e /sys/module/kvm_pvm ]] || return 1
	first=$(timeout 20 "$QEMU" -accel kvm -cpu host -m 512 -nodefaults -display none -no-reboot \
		-serial stdio -kernel "$kernel" -append 'console=ttyS0 panic=-1' </dev/null 2>&1 |
		head -c 4000) || true
	[[ $first == *"Linux version"* ]]
}

acceleration() {
	local kernel=$1 major
	if [[ ${TLSHD_TEST_ACCEL:-} ]]; then
		echo "$TLSHD_TEST_ACCEL"
	elif kvm_works "$kernel"; then
		echo kvm
	else
		major=$("$QEMU" --version | sed -nE '1s/.*version ([0-9]+).*/\1/p')
		# QEMU 7.2 crashes guests at random with a thread for each CPU.
		if ((major >= 10)); then echo tcg,thread=multi; else echo tcg,thread=single; fi
	fi
}

# Takes guest, kernel, init ("script" or "systemd"), kind of project build, MB, the job's tar;
# fills the array QEMU_ARGS.
qemu_arguments() {
	local guest=$1 kernel=$2 init=$3 kind=$4 mb=$5 job=$6 dir accel cpu=max append project
	dir=$(guest_dir "$guest")
	[[ -d $dir/kernels/$kernel ]] || die "the guest $guest has no kernel '$kernel'"
	accel=$(acceleration "$dir/kernels/$kernel/vmlinuz")
	[[ $accel != kvm ]] || cpu=host
	append="console=ttyS0 quiet panic=-1 log_buf_len=4M hung_task_panic=0 vm=$guest-$kernel"
	case $init in
	script) append+=" INIT=/opt/tests/vm/inside/run" ;;
	shell) append+=" INIT=/opt/tests/vm/inside/shell" ;;
	systemd) append+=" INIT=/sbin/init systemd.show_status=false" ;;
	esac
	project=$(project_tar "$guest" "$kind")
	[[ -e $project ]] || { project=$dir/empty.tar; tar -cf "$project" -T /dev/null; }
	QEMU_ARGS=(-accel "$accel" -cpu "$cpu" -smp 2 -m "$mb" -display none -no-reboot -nodefaults
		-kernel "$dir/kernels/$kernel/vmlinuz" -initrd "$dir/kernels/$kernel/initrd"
		-append "$append"
		-drive "file=$dir/disk.img,format=raw,if=virtio,snapshot=on"
		-drive "file=$project,format=raw,if=virtio,readonly=on"
		-drive "file=$job,format=raw,if=virtio,readonly=on"
		-device virtio-rng-pci)
}
