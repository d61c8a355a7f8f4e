# SPDX-License-Identifier: GPL-2.0-or-later
# Certificates for scenarios, made by openssl where they are used; every file is NAME.pem, NAME.key or NAME.crl.
# shellcheck shell=bash

# Kept between the scenarios of a boot, because RSA keys take seconds to find under emulation.
CERTS=${CERTS:-/etc/tlshd-certs}
# The names and addresses of a server: by name, over loopback, and between the namespaces of lib.sh.
SERVER_SAN=DNS:server.test,IP:127.0.0.1,IP:10.9.0.2,IP:fd00:9::2

# new_key TYPE: the options of "openssl req" that make one
new_key() {
	case $1 in
	rsa:* | ed25519 | ed448 | ML-DSA-*) echo "-newkey $1" ;;
	rsa-pss:*) echo "-newkey rsa-pss -pkeyopt rsa_keygen_bits:${1#*:}" ;;
	*) echo "-newkey ec -pkeyopt ec_paramgen_curve:$1" ;;
	esac
}

# make_cert NAME [--key TYPE] [--ca NAME] [--san SAN|''] [--usage USAGE|''] [--from TIME --to TIME]
# [--chain] [--is-ca] [OPTIONS of openssl req...]
# Without --ca it signs itself. --chain puts the certificate of the CA behind its own. A time is
# something that date(1) understands.
make_cert() {
	local name=$CERTS/$1 key=P-256 ca='' san='' usage=serverAuth from='-1 day' to='+30 days' chain='' is_ca=FALSE options
	shift
	while (($#)); do
		case $1 in
		--key) key=$2; shift ;;
		--ca) ca=$CERTS/$2; shift ;;
		--san) san=$2; shift ;;
		--usage) usage=$2; shift ;;
		--from) from=$2; shift ;;
		--to) to=$2; shift ;;
		--chain) chain=1 ;;
		--is-ca) is_ca=TRUE usage='' ;;
		*) break ;;
		esac
		shift
	done
	# shellcheck disable=SC2207
	options=(-x509 -noenc -subj "/CN=${name##*/}" -out "$name.pem" -keyout "$name.key"
		$(new_key "$key") -addext "basicConstraints=critical,CA:$is_ca"
		-not_before "$(date -u -d "$from" +%Y%m%d%H%M%SZ)" -not_after "$(date -u -d "$to" +%Y%m%d%H%M%SZ)")
	[[ ! $ca ]] || options+=(-CA "$ca.pem" -CAkey "$ca.key")
	[[ ! $san ]] || options+=(-addext "subjectAltName=$san")
	[[ $is_ca == FALSE ]] || options+=(-addext "keyUsage=critical,keyCertSign,cRLSign")
	[[ ! $usage ]] || options+=(-addext "extendedKeyUsage=$usage")
	openssl req "${options[@]}" "$@" 2>"$CERTS/openssl.log" || { cat "$CERTS/openssl.log" >&2; fail "openssl does not make $name"; }
	[[ ! $chain ]] || cat "$ca.pem" >>"$name.pem"
}

# make_crl NAME CA [CERTIFICATE...]: a revocation list of the CA, with these certificates on it
make_crl() {
	local name=$CERTS/$1 ca=$CERTS/$2 dir=$CERTS/$1.ca
	shift 2
	rm -rf "$dir"
	mkdir "$dir"
	: >"$dir/index"
	printf '[ca]\ndefault_ca=it\n[it]\ndatabase=%s/index\ndefault_md=sha256\ndefault_crl_days=30\n' "$dir" >"$dir/conf"
	local cert
	for cert in "$@"; do
		openssl x509 -noout -serial -enddate -in "$CERTS/$cert.pem" | awk -v now="$(date -u +%y%m%d%H%M%SZ)" '
			/^serial=/ { serial = substr($0, 8) }
			END { printf "R\t%s\t%s\t%s\tunknown\t/CN=any\n", "491231235959Z", now, serial }' >>"$dir/index"
	done
	openssl ca -config "$dir/conf" -gencrl -cert "$ca.pem" -keyfile "$ca.key" -out "$name.crl" 2>"$dir/log" ||
		{ cat "$dir/log" >&2; fail "openssl does not make $name.crl"; }
}

# make_certs: those that most scenarios want, once in a boot
make_certs() {
	[[ ! -e $CERTS/complete ]] || return 0
	rm -rf "$CERTS"
	mkdir -p "$CERTS"
	make_cert ca --is-ca
	make_cert other-ca --is-ca
	make_cert server --ca ca --san "$SERVER_SAN"
	make_cert client --ca ca --usage clientAuth
	make_cert client2 --ca ca --usage clientAuth
	make_cert intermediate --ca ca --is-ca
	make_cert chained-server --ca intermediate --chain --san "$SERVER_SAN"
	make_cert chained-client --ca intermediate --chain --usage clientAuth
	make_cert other-server --ca other-ca --san "$SERVER_SAN"
	make_cert other-client --ca other-ca --usage clientAuth
	make_cert expired-server --ca ca --san "$SERVER_SAN" --from '-2 days' --to '-1 day'
	make_cert expired-client --ca ca --usage clientAuth --from '-2 days' --to '-1 day'
	make_cert future-server --ca ca --san "$SERVER_SAN" --from '+1 day'
	make_cert named-server --ca ca --san DNS:another.test,DNS:third.test
	make_cert client-as-server --ca ca --san "$SERVER_SAN" --usage clientAuth
	make_cert server-as-client --ca ca --usage serverAuth
	make_cert weak-server --ca ca --san "$SERVER_SAN" --key rsa:1024
	make_cert sha1-server --ca ca --san "$SERVER_SAN" -sha1
	make_crl clean ca
	make_crl revoked ca server client
	make_crl client-revoked ca client
	touch "$CERTS/complete"
}
