# SPDX-License-Identifier: GPL-2.0-or-later
# Completes the command line of nvme-tls in fish; "nvme-tls complete" knows what can follow.

function __nvme_tls_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l last (commandline --current-token --cut-at-cursor | string unescape)
    set -l tool $words[1]
    set -e words[1]
    for line in ($tool complete $words "$last" 2>/dev/null)
        if test "$line" = ":files"
            set -l head (string match --regex -- '^--[^=]*=' "$last")
            for path in (__fish_complete_path (string replace --regex -- '^--[^=]*=' '' "$last"))
                echo -- "$head$path"
            end
        else
            echo -- $line
        end
    end
end

complete --command nvme-tls --no-files --arguments '(__nvme_tls_complete)'
