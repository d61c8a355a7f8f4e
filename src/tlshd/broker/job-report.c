// SPDX-License-Identifier: GPL-2.0-or-later
/* What is told of a handshake that has ended: its line in the log, and its record. */
#include "tlshd/broker/job-report.h"

#include <string.h>
#include <gnutls/gnutls.h>

#include "common/log.h"
#include "tlshd/broker/message-id.h"

static void append_failure(GString *line, const struct outcome *o)
{
	g_autofree char *detail = log_escape(o->detail, strlen(o->detail));

	g_string_append_printf(line, "failed: %s%s%s", cause_info(o->cause)->sentence,
			       *detail ? ": " : "", detail);
	if (o->alert_sent >= 0) {
		g_autofree char *alert = outcome_alert_name(o->alert_sent);

		g_string_append_printf(line, "; alert %s sent", alert);
	}
}

/* Of a success with certificates the detail is the peer's name. */
static void append_peer(GString *line, const struct job *j)
{
	g_autofree char *name = log_escape(j->outcome.detail, strlen(j->outcome.detail));

	if (!job_is_certified(j))
		return;
	if (j->outcome.certified)
		g_string_append_printf(line, ", certificate of %s", name);
	else
		g_string_append(line, ", no certificate of the peer's");
}

static enum recording_side recorded_side(const struct job *j)
{
	return j->side == HANDSHAKE_CLIENT   ? RECORDING_CLIENT
	       : j->side == HANDSHAKE_SERVER ? RECORDING_SERVER
					     : RECORDING_UNKNOWN;
}

/* Whom the peer has proved to be, or is asked to: an identity, or the name in a certificate; may be NULL. */
static const char *peer_name(const struct job *j)
{
	if (j->identity)
		return j->identity;
	return j->outcome.cause == CAUSE_SUCCESS && j->outcome.certified ? j->outcome.detail : NULL;
}

void job_report_record(const struct job *j, struct recorder *recorder)
{
	const struct outcome *o = &j->outcome;
	bool success = o->cause == CAUSE_SUCCESS;
	const char *cipher = success ? gnutls_cipher_get_name(o->cipher) : NULL;
	const char *group = success ? gnutls_group_get_name(o->group) : NULL;
	const char *name = peer_name(j);
	uint64_t ended = (uint64_t)g_get_monotonic_time();
	struct recording_entry e = {
		.ended = (uint64_t)g_get_real_time(),
		.ended_monotonic = ended,
		.duration = ended - j->start,
		.side = recorded_side(j),
		.status = cause_status(o->cause, job_is_certified(j)),
		.key = j->key,
		.worker = j->worker_pid,
		.alert = o->alert_sent,
	};

	e.family = peer_address(&j->peer, e.address, &e.port);
	g_strlcpy(e.cipher, cipher ? cipher : "", sizeof(e.cipher));
	g_strlcpy(e.group, group ? group : "", sizeof(e.group));
	g_strlcpy(e.identity, name ? name : "", sizeof(e.identity));
	g_strlcpy(e.detail, success ? "" : o->detail, sizeof(e.detail));
	recorder_add(recorder, &e, o->cause);
}

/* What "journalctl TLSHD_CAUSE=no-key" and the like can ask for. */
static void log_with_fields(const struct job *j, uint64_t usec, const char *peer, const char *line)
{
	const struct outcome *o = &j->outcome;
	bool failed = o->cause != CAUSE_SUCCESS;
	const char *name = peer_name(j);
	g_autofree char *identity = name ? log_escape(name, strlen(name)) : NULL;
	g_autofree char *key = j->key ? g_strdup_printf("0x%08x", (unsigned int)j->key) : NULL;
	g_autofree char *took = g_strdup_printf("%" G_GUINT64_FORMAT, usec);
	g_autofree char *status = g_strdup_printf("%d",
						  cause_status(o->cause, job_is_certified(j)));
	g_autofree char *alert = o->alert_sent < 0 ? NULL : outcome_alert_name(o->alert_sent);
	g_autofree char *worker = j->worker_pid ? g_strdup_printf("%d", (int)j->worker_pid) : NULL;
	const struct log_field fields[] = {
		{"TLSHD_CAUSE", cause_info(o->cause)->id},
		{"TLSHD_SIDE", job_side(j)},
		{"TLSHD_PEER", peer},
		{"TLSHD_IDENTITY", identity},
		{"TLSHD_KEY", key},
		{"TLSHD_CIPHER", failed ? NULL : gnutls_cipher_get_name(o->cipher)},
		{"TLSHD_GROUP", failed ? NULL : gnutls_group_get_name(o->group)},
		{"TLSHD_DURATION_USEC", took},
		{"TLSHD_STATUS", status},
		{"TLSHD_ALERT", alert},
		{"TLSHD_WORKER", worker},
		{0},
	};

	log_entry(failed ? LOG_WARNING : LOG_INFO,
		  failed ? MESSAGE_ID_FAILED : MESSAGE_ID_SUCCEEDED, fields, "%s", line);
}

void job_report_log(const struct job *j, const char *rival)
{
	const struct outcome *o = &j->outcome;
	bool failed = o->cause != CAUSE_SUCCESS;
	g_autoptr(GString) line = g_string_new(NULL);
	g_autofree char *peer = peer_text(&j->peer);
	uint64_t took = (uint64_t)g_get_monotonic_time() - j->start;

	g_string_append_printf(line, "%s handshake with %s ", job_side(j), peer);
	if (failed) {
		append_failure(line, o);
	} else {
		const char *cipher = gnutls_cipher_get_name(o->cipher);

		g_string_append_printf(line, "succeeded: cipher %s", cipher ? cipher : "unknown");
		append_peer(line, j);
	}
	if (j->peername) {
		g_autofree char *name = log_escape(j->peername, strlen(j->peername));

		g_string_append_printf(line, ", name \"%s\"", name);
	}
	if (j->identity) {
		g_autofree char *identity = log_escape(j->identity, strlen(j->identity));

		g_string_append_printf(line, ", identity \"%s\"", identity);
	}
	if (j->key)
		g_string_append_printf(line, ", key 0x%08x", (unsigned int)j->key);
	g_string_append_printf(line, ", %" G_GUINT64_FORMAT " ms", took / 1000);
	if (failed)
		g_string_append_printf(line, " [%s]", cause_info(o->cause)->id);
	if (rival)
		g_string_append_printf(line, "; %s", rival);
	log_with_fields(j, took, peer, line->str);
}
