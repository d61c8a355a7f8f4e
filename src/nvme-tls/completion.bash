# SPDX-License-Identifier: GPL-2.0-or-later
# Completes the command line of nvme-tls: commands, options, identities and serials.

# The value of a field in what list prints as JSON, one a line; nothing where that is not allowed.
_nvme_tls_loaded() {
	nvme-tls list --json 2>/dev/null | sed -nE "s/^ *\"$1\": ?\"?([^\"]*[^\",])\"?,?\$/\1/p" | sort -u
}

# Completions that may have spaces in them, quoted for the shell.
_nvme_tls_lines() {
	local line cur=$1 unquoted
	unquoted=${cur#[\"\']}
	unquoted=${unquoted//\\/}
	COMPREPLY=()
	while IFS= read -r line; do
		[[ $line == "$unquoted"* ]] || continue
		if [[ $cur == [\"\']* ]]; then
			COMPREPLY+=("$line")
		else
			COMPREPLY+=("$(printf '%q' "$line")")
		fi
	done
}

# A word that has colons is several to readline, which completes the last of them only.
_nvme_tls_colons() {
	local cur=$1 i head
	[[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] || return 0
	head=${cur%"${cur##*:}"}
	for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$head"}; done
}

_nvme_tls() {
	local cur prev command words cword
	local commands="gen check insert list import export revoke rotate help"
	if declare -F _comp_get_words >/dev/null; then
		_comp_get_words -n := cur prev words cword
	elif declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n := cur prev words cword
	else
		cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
		words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
	fi
	COMPREPLY=()
	if ((cword == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$commands --help --version" -- "$cur")
		return
	fi
	command=${words[1]}
	if [[ $cur == --*=* ]]; then
		prev=${cur%%=*} cur=${cur#*=}
	fi
	case $prev in
	--keyfile | -f | --keydata | -d | --secret | -s)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--hmac | -m) mapfile -t COMPREPLY < <(compgen -W "0 1 2" -- "$cur") && return ;;
	--length | -l) mapfile -t COMPREPLY < <(compgen -W "32 48" -- "$cur") && return ;;
	--keytype | -t) mapfile -t COMPREPLY < <(compgen -W "psk user" -- "$cur") && return ;;
	--keyring | -k)
		mapfile -t COMPREPLY < <(compgen -W "$(awk '$8 == "keyring" { sub(/:$/, "", $9); print $9 }' /proc/keys 2>/dev/null)" -- "$cur")
		return
		;;
	--hostnqn | -n)
		_nvme_tls_lines "$cur" < <(_nvme_tls_loaded hostnqn; cat /etc/nvme/hostnqn 2>/dev/null)
		_nvme_tls_colons "$cur"
		return
		;;
	--subsysnqn | -c)
		_nvme_tls_lines "$cur" < <(_nvme_tls_loaded subsysnqn)
		_nvme_tls_colons "$cur"
		return
		;;
	--identity | -I)
		case $command in
		insert | export | revoke) _nvme_tls_lines "$cur" < <(printf '%s\n' 0 1; _nvme_tls_loaded identity) ;;
		*) mapfile -t COMPREPLY < <(compgen -W "0 1" -- "$cur") ;;
		esac
		_nvme_tls_colons "$cur"
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		# The help is the one list of options.
		mapfile -t COMPREPLY < <(compgen -W "$(nvme-tls "$command" --help 2>/dev/null |
			grep -oE -- '--[a-z-]+=?' | sort -u)" -- "$cur")
		[[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
		return
	fi
	case $command in
	help) mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur") ;;
	revoke)
		_nvme_tls_lines "$cur" < <(_nvme_tls_loaded identity
			_nvme_tls_loaded serial | while read -r serial; do printf '0x%08x\n' "$serial"; done)
		_nvme_tls_colons "$cur"
		;;
	check | insert | import)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		;;
	esac
} && complete -F _nvme_tls nvme-tls
