/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is told of a handshake that has ended: its line in the log, and its record. */
#pragma once

#include "tlshd/broker/job.h"
#include "tlshd/broker/recorder.h"

/** job_report_record() - add @j, which has an outcome, to the recording; NULL for none. */
void job_report_record(const struct job *j, struct recorder *recorder);

/**
 * job_report_log() - write the one line of a handshake, with fields for the journal (tlshd.8).
 * @rival: what is said of another daemon that takes requests (rival.h); NULL for nothing
 */
void job_report_log(const struct job *j, const char *rival);
