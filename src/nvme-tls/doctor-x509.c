// SPDX-License-Identifier: GPL-2.0-or-later
/* nvme-tls doctor, certificates: what the configuration has for NFS, until when it is valid, and the clock. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <gnutls/x509.h>

#include "nvme-tls/doctor-checks.h"

#define DAY (24 * 60 * 60)
/* A certificate that ends sooner is warned of: it takes days to have a new one issued. */
#define WARN_DAYS 14

static const char *const sections[] = {"authenticate.client", "authenticate.server"};
/* A kind of file that the configuration can name. */
enum kind { OWN, TRUSTED, REVOKED, PRIVATE };

static const struct {
	const char *name;
	enum kind kind;
} settings[] = {
	{"x509.certificate", OWN}, {"x509.pq.certificate", OWN},  {"x509.truststore", TRUSTED},
	{"x509.crl", REVOKED},	   {"x509.private_key", PRIVATE}, {"x509.pq.private_key", PRIVATE},
};

static time_t now(const struct doctor *d)
{
	return d->system->now ? d->system->now : time(NULL);
}

/* The configuration of the daemon that runs, else the first of the default ones; NULL for none. */
static GKeyFile *read_config(const struct doctor *d)
{
	static const char *const places[] = {SYSCONFDIR "/tlshd.conf", SYSCONFDIR "/tlshd/config"};
	g_autoptr(GKeyFile) file = g_key_file_new();

	for (guint i = 0; i < d->daemons->len; i++) {
		const doctor_process *p = g_ptr_array_index(d->daemons, i);
		g_autofree char *path = NULL;

		if (p->worker || !p->config)
			continue;
		path = doctor_system_path(d->system, "%s", p->config);
		return g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, NULL)
			       ? g_steal_pointer(&file)
			       : NULL;
	}
	for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
		g_autofree char *path = doctor_system_path(d->system, "%s", places[i]);

		if (g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, NULL))
			return g_steal_pointer(&file);
	}
	return NULL;
}

/* A file that the configuration names. */
struct file {
	char *path;
	char *setting; /* "[authenticate.server] x509.certificate" */
	enum kind kind;
};

static void file_free(struct file *f)
{
	g_free(f->path);
	g_free(f->setting);
	g_free(f);
}

static GPtrArray *find_files(const struct doctor *d)
{
	GPtrArray *files = g_ptr_array_new_with_free_func((GDestroyNotify)file_free);
	g_autoptr(GKeyFile) config = read_config(d);

	for (size_t s = 0; config && s < G_N_ELEMENTS(sections); s++) {
		for (size_t n = 0; n < G_N_ELEMENTS(settings); n++) {
			g_autofree char *path = g_key_file_get_string(config, sections[s],
								      settings[n].name, NULL);
			struct file *f;

			/* What is in a token is no file. */
			if (!path || !*g_strstrip(path) || g_str_has_prefix(path, "pkcs11:"))
				continue;
			f = g_new0(struct file, 1);
			f->path = g_steal_pointer(&path);
			f->setting = g_strdup_printf("[%s] %s", sections[s], settings[n].name);
			f->kind = settings[n].kind;
			g_ptr_array_add(files, f);
		}
	}
	return files;
}

static char *date(time_t t)
{
	g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(t);

	return when ? g_date_time_format(when, "%Y-%m-%d %H:%M UTC") : g_strdup("?");
}

static char *subject_of(gnutls_x509_crt_t certificate)
{
	gnutls_datum_t dn = {0};
	char *text;

	if (gnutls_x509_crt_get_dn3(certificate, &dn, 0) < 0)
		return g_strdup("?");
	text = g_strndup((const char *)dn.data, dn.size);
	gnutls_free(dn.data);
	return text;
}

/* Return: whether nothing is wrong with it. */
static bool check_certificate(struct doctor *d, const char *path, gnutls_x509_crt_t certificate)
{
	time_t from = gnutls_x509_crt_get_activation_time(certificate);
	time_t until = gnutls_x509_crt_get_expiration_time(certificate);
	g_autofree char *begins = date(from), *ends = date(until);
	g_autofree char *subject = subject_of(certificate);

	if (now(d) >= until)
		doctor_mend(doctor_fault(d, path, "%s: the certificate of %s expired at %s", path,
					 subject, ends),
			    "have a new certificate issued, put it there, and systemctl reload tlshd");
	else if (now(d) < from)
		doctor_mend(doctor_fault(d, path,
					 "%s: the certificate of %s is not valid before %s, or the clock is wrong",
					 path, subject, begins),
			    "date, and timedatectl set-ntp true if it is wrong");
	else if (until - now(d) < WARN_DAYS * DAY)
		doctor_mend(doctor_warning(d, path,
					   "%s: the certificate of %s expires at %s, in %d days",
					   path, subject, ends, (int)((until - now(d)) / DAY)),
			    "have a new certificate issued, put it there, and systemctl reload tlshd");
	else
		return true;
	return false;
}

/* Return: the file's bytes, to be freed by g_free(); NULL after a finding. */
static char *read_file(struct doctor *d, const struct file *f, gnutls_datum_t *bytes)
{
	g_autofree char *at = doctor_system_path(d->system, "%s", f->path);
	g_autoptr(GError) error = NULL;
	char *text = NULL;
	gsize len = 0;

	if (!g_file_get_contents(at, &text, &len, &error)) {
		doctor_mend(doctor_fault(d, f->path, "%s: %s", f->setting, error->message),
			    "put the file there, or correct %s, and systemctl reload tlshd",
			    f->setting);
		return NULL;
	}
	*bytes = (gnutls_datum_t){(unsigned char *)text, (unsigned int)len};
	return text;
}

static void tell_no_pem(struct doctor *d, const struct file *f, const char *what, int r)
{
	doctor_mend(doctor_fault(d, f->path, "%s: %s has no %s in PEM: %s", f->setting, f->path,
				 what, gnutls_strerror(r)),
		    "head -1 %s, to see what it is", f->path);
}

static void check_certificates(struct doctor *d, const struct file *f)
{
	gnutls_x509_crt_t *list = NULL;
	gnutls_datum_t pem;
	g_autofree char *text = read_file(d, f, &pem);
	unsigned int n = 0;
	bool good = true;
	int r;

	if (!text)
		return;
	r = gnutls_x509_crt_list_import2(&list, &n, &pem, GNUTLS_X509_FMT_PEM, 0);
	if (r < 0) {
		tell_no_pem(d, f, "certificate", r);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		/* A bundle of authorities has expired ones at all times. */
		if (f->kind == OWN)
			good &= check_certificate(d, f->path, list[i]);
		gnutls_x509_crt_deinit(list[i]);
	}
	gnutls_free(list);
	if (good)
		doctor_ok(d, f->path, "%s: %s has %u certificate%s that can be used", f->setting,
			  f->path, n, n == 1 ? "" : "s");
}

/* With an old list GnuTLS refuses every certificate of its issuer. */
static void check_crls(struct doctor *d, const struct file *f)
{
	gnutls_x509_crl_t *list = NULL;
	gnutls_datum_t pem;
	g_autofree char *text = read_file(d, f, &pem);
	unsigned int n = 0;
	bool good = true;
	int r;

	if (!text)
		return;
	r = gnutls_x509_crl_list_import2(&list, &n, &pem, GNUTLS_X509_FMT_PEM, 0);
	if (r < 0) {
		tell_no_pem(d, f, "revocation list", r);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		time_t next = gnutls_x509_crl_get_next_update(list[i]);
		g_autofree char *when = date(next);

		if (next != (time_t)-1 && now(d) >= next) {
			doctor_mend(doctor_fault(d, f->path,
						 "%s: the revocation list %s was to be renewed at %s: certificates of its issuer are refused",
						 f->setting, f->path, when),
				    "fetch the issuer's new list, put it there, and systemctl reload tlshd");
			good = false;
		}
		gnutls_x509_crl_deinit(list[i]);
	}
	gnutls_free(list);
	if (good)
		doctor_ok(d, f->path, "%s: the revocation list %s is up to date", f->setting,
			  f->path);
}

/* Who may read it; its bytes are none of our business. */
static void check_private(struct doctor *d, const struct file *f)
{
	g_autofree char *at = doctor_system_path(d->system, "%s", f->path);
	struct stat st;

	if (stat(at, &st) < 0)
		doctor_mend(doctor_fault(d, f->path, "%s: %s: %s", f->setting, f->path,
					 g_strerror(errno)),
			    "put the file there, or correct %s, and systemctl reload tlshd",
			    f->setting);
	else if (st.st_mode & S_IRWXO)
		doctor_mend(doctor_fault(d, f->path, "%s: every user has access to %s", f->setting,
					 f->path),
			    "chmod o= %s, and have the certificate replaced if others were here",
			    f->path);
	else
		doctor_ok(d, f->path, "%s: %s is there, and not for everybody", f->setting,
			  f->path);
}

void doctor_x509_certificates(struct doctor *d)
{
	static void (*const check[])(struct doctor * d, const struct file *f) = {
		[OWN] = check_certificates,
		[TRUSTED] = check_certificates,
		[REVOKED] = check_crls,
		[PRIVATE] = check_private,
	};
	g_autoptr(GPtrArray) files = find_files(d);

	for (guint i = 0; i < files->len; i++) {
		const struct file *f = g_ptr_array_index(files, i);

		check[f->kind](d, f);
	}
}

static bool has_private_key(const struct doctor *d)
{
	g_autoptr(GKeyFile) config = read_config(d);

	for (size_t s = 0; config && s < G_N_ELEMENTS(sections); s++)
		for (size_t n = 0; n < G_N_ELEMENTS(settings); n++)
			if (settings[n].kind == PRIVATE &&
			    g_key_file_has_key(config, sections[s], settings[n].name, NULL))
				return true;
	return false;
}

void doctor_x509_signer(struct doctor *d)
{
	static const char name[] = "tlshd-signer.socket";
	g_auto(doctor_unit) unit = {0};

	if (!has_private_key(d) || !doctor_system_unit(d->system, name, &unit))
		return;
	if (strcmp(unit.load, "masked") == 0)
		doctor_mend(doctor_fault(d, name,
					 "%s is masked, so nothing can sign with the private keys",
					 name),
			    "systemctl unmask %s && systemctl restart tlshd", name);
	else if (strcmp(unit.load, "not-found") == 0)
		doctor_mend(doctor_fault(d, name,
					 "there is no unit %s, so nothing can sign with the private keys",
					 name),
			    "install tlshd again, then systemctl daemon-reload");
	else if (strcmp(unit.active, "active") != 0)
		doctor_mend(doctor_fault(d, name,
					 "%s is %s, so nothing can sign with the private keys",
					 name, unit.active),
			    "systemctl restart %s tlshd", name);
	else
		doctor_ok(d, name, "%s starts the process that has the private keys", name);
}

/* A file cannot have been written later than now. Return: one that was, to be freed by g_free(). */
static char *file_of_the_future(const struct doctor *d, GPtrArray *files)
{
	for (guint i = 0; i < files->len; i++) {
		const struct file *f = g_ptr_array_index(files, i);
		g_autofree char *at = doctor_system_path(d->system, "%s", f->path);
		struct stat st;

		if (stat(at, &st) == 0 && st.st_mtime > now(d) + DAY)
			return g_strdup(f->path);
	}
	return NULL;
}

void doctor_x509_clock(struct doctor *d)
{
	g_autoptr(GPtrArray) files = find_files(d);
	g_autofree char *later = file_of_the_future(d, files);

	if (later)
		doctor_mend(doctor_fault(d, "clock",
					 "the clock is behind: %s was written later than it says it is now",
					 later),
			    "timedatectl set-ntp true");
	else if (files->len && !d->system->clock_is_set())
		doctor_mend(doctor_warning(d, "clock",
					   "nothing keeps the clock right, and certificates are judged by it"),
			    "timedatectl set-ntp true, or start chronyd");
	else if (files->len)
		doctor_ok(d, "clock", "the clock is kept right");
}
