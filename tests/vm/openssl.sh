# SPDX-License-Identifier: GPL-2.0-or-later
# An independent TLS peer for the kernel: OpenSSL as client of a target, and as server for a host.
# shellcheck shell=bash

# NVMe/TCP's first PDU, ICReq: type, flags, header length, offset, length; the rest zero.
icreq() { printf '\x00\x00\x80\x00\x80\x00\x00\x00'; head -c 120 /dev/zero; }

# openssl_client IDENTITY HEX [OPTIONS...]: what OpenSSL says goes to openssl.log, what the target
# sends to openssl.bin. SHA-256 only: s_client can no other PSK. Succeeds when the target answered the ICReq through TLS.
openssl_client() {
	local identity=$1 key=$2 out=$SCENARIO_DIR/openssl
	shift 2
	: >"$out.bin"
	: >"$out.log"
	rm -f "$out.over"
	{
		icreq
		wait_for 10 eval "[[ -s $out.bin || -e $out.over ]]" || true
	} | {
		within 20 openssl s_client -connect "127.0.0.1:$PORT" -tls1_3 -nocommands -quiet -no_ign_eof \
			-psk_identity "$identity" -psk "$key" -ciphersuites TLS_AES_128_GCM_SHA256 "$@" >"$out.bin" 2>"$out.log" || true
		touch "$out.over"
	}
	# ICResp is type 1 and 128 bytes long.
	[[ $(head -c 8 "$SCENARIO_DIR/openssl.bin" | od -An -v -tx1 | tr -d ' ') == 0100800080000000 ]]
}
