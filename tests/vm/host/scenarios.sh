# SPDX-License-Identifier: GPL-2.0-or-later
# Plans which scenario runs in which boot, boots, and turns what comes back into test results.
# shellcheck shell=bash disable=SC2034,SC2153 # the parts of guest share their variables

RESULTS=${TLSHD_TEST_RESULTS:-$CACHE/results}

# The value of "# KEY: VALUE" at the head of a scenario, or the default.
declared() {
	local value
	value=$(sed -nE "1,15s/^# $2: *//p" "$1" | head -1)
	echo "${value:-$3}"
}

# One line for each scenario of a guest: kernel, init, name, timeout, path. Those that reboot come last,
# for it is the end of the boot that they share with the others.
plan() {
	local guest=$1 file guests init order
	for file in "$VM"/scenarios/*; do
		[[ -f $file ]] || continue
		guests=$(declared "$file" guests "${GUESTS[*]}")
		[[ " $guests " == *" $guest "* ]] || continue
		init=$(declared "$file" init "$DEFAULT_INIT")
		order=0
		[[ $init != systemd-reboot ]] || { init=systemd order=1; }
		echo "$order $(declared "$file" kernel "$(default_kernel "$guest" "$init")") $init" \
			"$(basename "$file") $(declared "$file" timeout 60) $file"
	done | sort -s -k 1,1 | cut -d' ' -f2-
}
reboots() { [[ $(declared "$1" init '') == systemd-reboot ]]; }

command_plan() {
	local guest
	for guest in "${@:-${GUESTS[@]}}"; do
		known_guest "$guest"
		plan "$guest" | sort -s -k 1,2 | while read -r kernel init name timeout _; do
			echo "$guest $kernel $init $name $timeout"
		done
	done
}

parse_options() {
	KERNEL='' INIT='' KIND='' MB=4096 TLSHD=ours REST=()
	while (($#)); do
		case $1 in
		--kernel) KERNEL=$2; shift ;;
		--init) INIT=$2; shift ;;
		--mem) MB=$2; shift ;;
		--tlshd) TLSHD=$2; shift ;;
		--sanitize) KIND=sanitize ;;
		--) shift; REST+=("$@"); break ;;
		-*) die "no such option: $1" ;;
		*) REST+=("$1") ;;
		esac
		shift
	done
}

# A tar with what runs inside; the arguments are lines for the list of scenarios.
make_job() {
	local out=$1 guest=$2 kernel=$3 init=$4 command=$5 tree line name timeout path
	shift 5
	tree=$(mktemp -d)
	mkdir -p "$tree/opt/tests/vm"
	cp -a "$VM"/{inside,scenarios,lib.sh,pace.sh,nfs.sh,certs.sh,disk.sh,openssl.sh,hello.py,mkfs.py,starttls.py,search-memory.py,demo.sh} "$tree/opt/tests/vm/"
	cp -a "$VM/../peer" "$tree/opt/tests/"
	{
		echo "GUEST=$guest KERNEL=$kernel INIT=$init TLSHD=$TLSHD SANITIZE=$KIND"
		echo "ROWS=$(stty size 2>/dev/null | cut -d' ' -f1) COLUMNS=$(stty size 2>/dev/null | cut -d' ' -f2)"
	} >"$tree/opt/tests/vm/inside/job"
	for line in "$@"; do
		read -r name timeout path <<<"$line"
		cp "$path" "$tree/opt/tests/vm/scenarios/$name"
		echo "$name $timeout /opt/tests/vm/scenarios/$name $(reboots "$path" && echo reboots)"
	done >"$tree/opt/tests/vm/inside/list"
	echo "$command" >"$tree/opt/tests/vm/command"
	[[ $command ]] || rm "$tree/opt/tests/vm/command"
	tar -C "$tree" --owner=0 --group=0 -cf "$out" opt
	rm -rf "$tree"
}

# Boots once; the lines are "name timeout path". Prints results, returns 1 if any failed.
run_boot() {
	local guest=$1 kernel=$2 init=$3 dir line status ms pace rest failed=0 silence=600 word name='' last='' boots=0
	local -A left=()
	shift 3
	mkdir -p "$RESULTS"
	find "$RESULTS" -mindepth 1 -maxdepth 1 -mtime +2 -exec rm -rf {} +
	dir=$(mktemp -d "$RESULTS/$(date +%H%M%S)-$guest${KIND:+-$KIND}-$kernel-$init-$TLSHD.XXX")
	make_job "$dir/job.tar" "$guest" "$kernel" "$init" "" "$@"
	for line in "$@"; do
		left[${line%% *}]=1
		! reboots "${line##* }" || last=${line%% *}
	done
	qemu_arguments "$guest" "$kernel" "$init" "$KIND" "$MB" "$dir/job.tar"
	# After a reboot the disk is as the guest left it.
	[[ $last ]] || QEMU_ARGS+=(-no-reboot)
	say "booting $guest (kernel $kernel, init $init, $QEMU_HOW) for $# scenarios"
	coproc VMOUT { exec "${QEMU_ARGS[@]}" -serial "file:$dir/console" \
		-device virtio-serial-pci -chardev file,id=out,path=/dev/fd/1 \
		-device virtserialport,chardev=out </dev/null 2>"$dir/qemu"; }
	local pid=$VMOUT_PID fd
	exec {fd}<&"${VMOUT[0]}"
	while IFS= read -r -t "$silence" line <&$fd; do
		word=${line%% *} rest=${line#* }
		case $word in
		boot)
			say "$guest is up: Linux $rest s"
			if [[ $name && $name != "$last" ]] || ((++boots > 2)); then break; fi # it has crashed
			;;
		start)
			read -r name silence <<<"$rest"
			silence=$((silence + 60))
			: >"$dir/$name.log"
			;;
		'|') echo "$rest" >>"$dir/$name.log" ;;
		end)
			read -r name status ms pace <<<"$rest"
			unset "left[$name]"
			result "$guest" "$name" "$status" "$ms" "$pace" "$dir/$name.log" || failed=1
			;;
		done) break ;;
		esac
	done
	exec {fd}<&-
	kill -9 "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	for name in "${!left[@]}"; do
		{ echo "*** the guest ended or hung before this scenario reported"; cat "$dir/qemu"; tail -40 "$dir/console"; } >>"$dir/$name.log"
		result "$guest" "$name" 1 0 100 "$dir/$name.log" || failed=1
	done
	return $failed
}

result() {
	local guest=$1 name=$2 status=$3 ms=$4 pace=$5 log=$6
	if [[ $status == 0 ]]; then
		echo "ok $name ($guest)"
		say "   $((ms / 1000)).$((ms / 100 % 10)) s at a pace of $pace %, log: $log"
	else
		echo "not ok $name ($guest) # at a pace of $pace %"
		say "   log: $log"
		sed 's/^/    /' "$log" >&2
		return 1
	fi
}

command_run() {
	local guest=${1:?which guest?} status=0 kernel init name timeout path want lines
	shift
	known_guest "$guest"
	parse_options "$@"
	build_guest "$guest"
	[[ $TLSHD != ours ]] || build_project "$guest" "$KIND"
	lines=$(plan "$guest")
	if ((${#REST[@]})); then
		want=
		for name in "${REST[@]}"; do
			if [[ $name == */* ]]; then
				path=$(realpath "$name")
				want+="$(declared "$path" kernel cloud) $(declared "$path" init script | sed s/-reboot//) $(basename "$path") $(declared "$path" timeout 60) $path"$'\n'
			else
				[[ -e $VM/scenarios/$name ]] || die "no scenario '$name'"
				want+="$(awk -v n="$name" '$3 == n' <<<"$lines")"$'\n'
			fi
		done
		lines=$want
	fi
	lines=$(awk -v k="$KERNEL" -v i="$INIT" 'NF { if (k) $1 = k; if (i) $2 = i; print }' <<<"$lines")
	[[ $lines ]] || die "nothing to run in $guest"
	while read -r kernel init; do
		local -a boot_lines=()
		while read -r k i rest; do
			[[ $k == "$kernel" && $i == "$init" ]] && boot_lines+=("$rest")
		done <<<"$lines"
		run_boot "$guest" "$kernel" "$init" "${boot_lines[@]}" || status=1
	done < <(awk '{ print $1, $2 }' <<<"$lines" | sort -u)
	return $status
}

command_shell() {
	local guest=${1:?which guest?} dir status
	shift
	known_guest "$guest"
	parse_options "$@"
	build_guest "$guest"
	[[ $TLSHD != ours ]] || build_project "$guest" "$KIND"
	dir=$(mktemp -d)
	make_job "$dir/job.tar" "$guest" "${KERNEL:=cloud}" shell "${REST[*]}"
	qemu_arguments "$guest" "$KERNEL" shell "$KIND" "$MB" "$dir/job.tar"
	say "booting $guest ($QEMU_HOW)"
	QEMU_ARGS+=(-no-reboot -chardev 'stdio,id=con,signal=off,mux=off' -serial chardev:con
		-device virtio-serial-pci -chardev "file,id=out,path=$dir/status" -device 'virtserialport,chardev=out')
	if ((${#REST[@]})); then
		"${QEMU_ARGS[@]}" | grep --line-buffered -vE '^\[ *[0-9.]+\] (sysrq: Power Off|reboot: Power down)' || true
	else
		"${QEMU_ARGS[@]}" || true
	fi
	status=$(cat "$dir/status" 2>/dev/null || true)
	rm -rf "$dir"
	return "${status:-1}"
}
