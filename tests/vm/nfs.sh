# SPDX-License-Identifier: GPL-2.0-or-later
# NFS for scenarios: the kernel's server with its exports, mounts over TLS, and what they carry.
# shellcheck shell=bash

# shellcheck source=certs.sh
. "$(dirname "${BASH_SOURCE[0]}")/certs.sh"

NFSD=/proc/fs/nfsd
PIPES=/run/tlshd-pipes
EXPORTS=/run/tlshd-exports
MOUNTS=/run/tlshd-mounts

# name_address NAME ADDRESS: clean_up takes it out of /etc/hosts again
name_address() { echo "$2 $1 # scenario" >>/etc/hosts; }

# start_nfsd [--netns NS] [--threads N]: NFS 4.2 only, which needs no rpcbind. Exported are directories named
# after the security that they want: none, tls, mtls, tls:mtls.
start_nfsd() {
	local ns='' xprtsec id=0 threads=4
	while (($#)); do
		case $1 in
		--netns) ns=$2 ;;
		--threads) threads=$2 ;;
		*) fail "start_nfsd: $1?" ;;
		esac
		shift 2
	done
	echo "$ns" >/run/tlshd-nfsd
	modprobe -a nfsv4 nfsd
	mkdir -p $EXPORTS $MOUNTS $PIPES cld
	mount -t tmpfs tmpfs $EXPORTS
	in_ns "$ns" mount -t nfsd nfsd $NFSD
	in_ns "$ns" mount -t rpc_pipefs sunrpc $PIPES
	# It tells nfsd that there is no client of before, for which everybody else would wait 90 s.
	in_ns "$ns" nfsdcld --foreground --pipefsdir $PIPES --storagedir "$PWD/cld" >>"$SCENARIO_DIR/nfsdcld.log" 2>&1 &
	: >/var/lib/nfs/etab
	in_ns "$ns" rpc.mountd --foreground --no-nfs-version 3 >>"$SCENARIO_DIR/mountd.log" 2>&1 &
	for xprtsec in none tls mtls tls:mtls; do
		mkdir "$EXPORTS/$xprtsec"
		in_ns "$ns" exportfs -i -o "rw,async,insecure,no_root_squash,no_subtree_check,fsid=$((++id)),xprtsec=$xprtsec" "*:$EXPORTS/$xprtsec"
	done
	in_ns "$ns" rpc.nfsd --no-nfs-version 3 "$threads" || fail "nfsd does not start"
}

# What the two sides of the configuration below have now: copies, because administrators replace such files too.
HELD=/etc/tlshd-held

# holds SIDE CERTIFICATE|nothing: what the client or the server shows from now on
holds() {
	local file=$HELD/$1
	if [[ $2 == nothing ]]; then
		rm -f "$file.pem" "$file.key"
		return
	fi
	# Both are new before either is in its place.
	cp "$CERTS/$2.pem" "$file.pem.new"
	install -m 600 "$CERTS/$2.key" "$file.key.new"
	mv "$file.key.new" "$file.key"
	mv "$file.pem.new" "$file.pem"
}
# trusts SIDE CA, and revokes SIDE CRL: whom it believes from now on
trusts() { cp "$CERTS/$2.pem" "$HELD/new" && mv "$HELD/new" "$HELD/$1-ca.pem"; }
revokes() { cp "$CERTS/$2.crl" "$HELD/new" && mv "$HELD/new" "$HELD/$1.crl"; }

# nfs_config NAME [LINE...]: a configuration for start_tlshd, of what the sides hold; the lines go to its
# end, which is in the section of the server.
nfs_config() {
	local name=$1 side
	shift
	mkdir -p $HELD
	{
		printf '[debug]\nloglevel=0\ntls=0\nnl=0\n[authenticate]\nkeyrings=.nvme\n'
		for side in client server; do
			printf '[authenticate.%s]\nx509.truststore=%s\nx509.crl=%s\nx509.certificate=%s\nx509.private_key=%s\n' \
				$side $HELD/$side-ca.pem $HELD/$side.crl $HELD/$side.pem $HELD/$side.key
		done
		printf '%s\n' "$@"
	} >"$SCENARIO_DIR/$name.conf"
}

# good_certs: both sides hold what makes every mount succeed
good_certs() {
	local side
	make_certs
	mkdir -p $HELD
	for side in client server; do
		holds $side $side
		trusts $side ca
		revokes $side clean
	done
}

# nfs_mount XPRTSEC SOURCE-HOST [--netns NS] [--at NAME] [OPTION...]
# Mounts the export that wants this security, or that of --export, at $MOUNTS/NAME. A mount that hangs has failed.
nfs_mount() {
	local xprtsec=$1 host=$2 ns='' at=$1 export=$1 options
	shift 2
	while (($#)); do
		case $1 in
		--netns) ns=$2 ;;
		--at) at=$2 ;;
		--export) export=$2 ;;
		*) break ;;
		esac
		shift 2
	done
	mkdir -p "$MOUNTS/$at"
	options=$(IFS=,; echo "vers=4.2,xprtsec=$xprtsec,nosharecache,$*")
	in_ns "$ns" timeout -k 1 "$(patience 20)" mount -t nfs -o "$options" "$host:$EXPORTS/$export" "$MOUNTS/$at" >"$SCENARIO_DIR/mount.log" 2>&1
}
nfs_unmount() { in_ns "${2:-}" umount "$MOUNTS/$1"; }

# data_is_equal MOUNT EXPORT [KIB]: written through the mount and found in the export, and read back past the
# cache, by names that the client has not seen yet
data_is_equal() {
	local at=$MOUNTS/$1 export=$EXPORTS/$2 data=$SCENARIO_DIR/nfs.bin name=$((++NFS_FILES))
	head -c "${3:-256}K" /dev/urandom >"$data"
	dd if="$data" of="$at/$name" bs=64k conv=fsync status=none
	cmp "$data" "$export/$name" || fail "what the server has is not what was written to $at"
	head -c "${3:-256}K" /dev/urandom | tee "$data" >"$export/$name.new"
	dd if="$at/$name.new" of="$data.back" iflag=direct bs=64k status=none
	cmp "$data" "$data.back" || fail "what was read from $at is not what the server has"
	rm "$data" "$data.back" "$at/$name" "$at/$name.new"
}
NFS_FILES=0

# cut_nfs [NETNS]: every connection to the server, as a broken network would
cut_nfs() { in_ns "${1:-}" ss -K -tn 'dport = :2049' >/dev/null; }
nfs_connections() { in_ns "${1:-}" ss -tnH state established 'dport = :2049' | wc -l; }

stop_nfs() {
	local path ns
	for path in "$MOUNTS"/*; do
		! mountpoint -q "$path" || timeout 10 umount -f "$path" || umount -l "$path"
	done
	sed '/# scenario$/d' /etc/hosts >/run/hosts
	cat /run/hosts >/etc/hosts
	ns=$(</run/tlshd-nfsd)
	in_ns "$ns" rpc.nfsd 0
	in_ns "$ns" exportfs -ua
	for path in "$NFSD" "$PIPES" "$EXPORTS"; do ! mountpoint -q "$path" || umount -l "$path"; done
	rm /run/tlshd-nfsd
}
