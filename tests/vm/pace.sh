# SPDX-License-Identifier: GPL-2.0-or-later
# How fast this guest is at the moment, so that waits can follow it.
# shellcheck shell=bash

# Milliseconds that piece_of_work takes on each CPU at once where the guest has two idle cores.
PIECE_MS=65

# What scenarios mostly do: processes come and go, and something is computed.
piece_of_work() {
	local i
	for i in {1..5}; do /bin/true; done
	head -c 150K /dev/zero | sha256sum >/dev/null
}

# now: sets NOW, hundredths of a second since the boot; scenarios set the clock, so no date.
now() {
	read -r NOW _ </proc/uptime
	NOW=$((10#${NOW/./}))
}

# time_piece: sets TOOK, hundredths of a second for a piece of work on each CPU
time_piece() {
	local start
	now
	start=$NOW
	(
		for ((i = $(nproc); i > 0; i--)); do piece_of_work & done
		wait
	)
	now
	TOOK=$((NOW - start))
}

# measure_pace: sets PACE, the time a piece of work takes in per cent of what it takes on an idle
# machine, never less than 100. The better of two counts, for whatever disturbs makes it longer.
measure_pace() {
	local best=''
	for _ in 1 2; do
		time_piece
		[[ $best ]] && ((best <= TOOK)) || best=$TOOK
		((best * 1000 > PIECE_MS * 150)) || break
	done
	PACE=$((best * 1000 / PIECE_MS))
	((PACE >= 100)) || PACE=100
	export PACE
}

# at_pace SECONDS: what is granted here for what has SECONDS on an idle machine. It is waited for, so there
# is an end to it.
at_pace() { echo $((($1 * (PACE < 400 ? PACE : 400) + 99) / 100)); }

# patience SECONDS: how long to wait here for what an idle machine does in SECONDS at the most: twice
# as long as measured, for a measurement is a moment.
patience() { echo $((($1 * PACE + 49) / 50)); }
