# SPDX-License-Identifier: GPL-2.0-or-later
# Completes the command line of nvme-tls in bash; "nvme-tls complete" knows what can follow.

_nvme_tls() {
	local words=() word line head rest=${COMP_LINE:0:COMP_POINT} n=-1 i cur

	# readline cuts words at = and : as well; put together what no blank separates.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		if ((i == 0)) || [[ $rest == [[:blank:]]* ]]; then
			words[++n]=
		fi
		rest=${rest#"${rest%%[![:blank:]]*}"}
		word=${COMP_WORDS[i]}
		((i < COMP_CWORD)) || word=$rest
		words[n]+=$word
		rest=${rest#"$word"}
	done
	cur=${words[n]}
	for i in "${!words[@]}"; do
		words[i]=${words[i]//[\"\'\\]/}
	done

	COMPREPLY=()
	while IFS= read -r line; do
		word=${line%%$'\t'*}
		if [[ $word == :files ]]; then
			compopt -o filenames 2>/dev/null
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "${cur#--*=}")
			continue
		fi
		[[ ! $word =~ ^--[a-z-]+=$ ]] || compopt -o nospace 2>/dev/null
		# Identities have blanks in them.
		[[ $cur == [\"\']* ]] || printf -v word %q "$word"
		COMPREPLY+=("$word")
	done < <("${COMP_WORDS[0]}" complete "${words[@]:1}" 2>/dev/null)

	# What readline replaces begins behind the last of its cuts.
	if [[ $cur == *[:=]* ]]; then
		head=${cur%"${cur##*[:=]}"}
		COMPREPLY=("${COMPREPLY[@]#"$head"}")
	fi
} && complete -F _nvme_tls nvme-tls
