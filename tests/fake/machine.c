// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an ordinary user's machine may lack, led through here by the linker: keys of type psk, which are
 * keys of type user, and kTLS. A socket "is TLS" in a number of its own that the kernel keeps for us, so
 * that the broker can ask for what a worker, another process, has set.
 *
 * And a signer that takes its time: as long as there is the file $FAKE_SLOW_KEYS, no key is loaded. And a disk
 * that is away: as long as there is the file $FAKE_SLOW_DISK, no file is read.
 */
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <gnutls/abstract.h>
#include <keyutils.h>
#include <linux/tls.h>
#include <seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

int __real_seccomp_load(const scmp_filter_ctx ctx);
int __wrap_seccomp_load(const scmp_filter_ctx ctx);

/* The number: ULP, and the cipher's number plus the version's last digit for each direction. */
#define NOTES TCP_NOTSENT_LOWAT
#define NOTE_ULP 0x40000000u
#define NOTE_NONE 0xffffffffu
#define SHIFT(direction) ((direction) == TLS_TX ? 0 : 12)

long __real_keyctl_search(key_serial_t ring, const char *type, const char *text, key_serial_t to);
long __wrap_keyctl_search(key_serial_t ring, const char *type, const char *text, key_serial_t to);
long __real_keyctl_describe(key_serial_t key, char *text, size_t size);
long __wrap_keyctl_describe(key_serial_t key, char *text, size_t size);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);
int __real_gnutls_privkey_import_x509_raw(gnutls_privkey_t key, const gnutls_datum_t *data,
					  gnutls_x509_crt_fmt_t format, const char *password,
					  unsigned int flags);
int __wrap_gnutls_privkey_import_x509_raw(gnutls_privkey_t key, const gnutls_datum_t *data,
					  gnutls_x509_crt_fmt_t format, const char *password,
					  unsigned int flags);

int __real_memfile_of_file(int fd, size_t max);
int __wrap_memfile_of_file(int fd, size_t max);

long __wrap_keyctl_search(key_serial_t ring, const char *type, const char *text, key_serial_t to)
{
	return __real_keyctl_search(ring, strcmp(type, "psk") == 0 ? "user" : type, text, to);
}

long __wrap_keyctl_describe(key_serial_t key, char *text, size_t size)
{
	long n = __real_keyctl_describe(key, text, size);

	if (n > 0 && (size_t)n <= size && strncmp(text, "user;", 5) == 0) {
		memcpy(text, "psk", 3);
		memmove(text + 3, text + 4, (size_t)n - 4);
		n--;
	}
	return n;
}

/* The lists of system calls are the daemon's, but for the number. */
int __wrap_seccomp_load(const scmp_filter_ctx ctx)
{
	const int calls[] = {SCMP_SYS(getsockopt), SCMP_SYS(setsockopt)};

	for (int i = 0; i < 2; i++)
		seccomp_rule_add((scmp_filter_ctx)ctx, SCMP_ACT_ALLOW, calls[i], 2,
				 SCMP_A1(SCMP_CMP_EQ, IPPROTO_TCP), SCMP_A2(SCMP_CMP_EQ, NOTES));
	return __real_seccomp_load(ctx);
}

static unsigned int notes(int fd)
{
	unsigned int value = 0;
	socklen_t len = sizeof(value);

	if (__real_getsockopt(fd, IPPROTO_TCP, NOTES, &value, &len) < 0 || value == NOTE_NONE)
		return 0;
	return value;
}

static int note(int fd, unsigned int more)
{
	unsigned int value = notes(fd) | more;

	return __real_setsockopt(fd, IPPROTO_TCP, NOTES, &value, sizeof(value));
}

static int refuse(int err)
{
	errno = err;
	return -1;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	const struct tls_crypto_info *info = value;

	if (level == IPPROTO_TCP && name == TCP_ULP)
		return note(fd, NOTE_ULP);
	if (level != SOL_TLS)
		return __real_setsockopt(fd, level, name, value, len);
	if (!(notes(fd) & NOTE_ULP) || (name != TLS_TX && name != TLS_RX) || len < sizeof(*info))
		return refuse(ENOPROTOOPT);
	return note(fd, (((unsigned int)info->version & 0xf) << 8 | (info->cipher_type & 0xff))
				<< SHIFT(name));
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	struct tls_crypto_info *info = value;
	unsigned int of_it = notes(fd) >> SHIFT(name) & 0xfff;

	if (level == IPPROTO_TCP && name == TCP_ULP) {
		if (*len < sizeof("tls"))
			return refuse(EINVAL);
		*len = notes(fd) & NOTE_ULP ? sizeof("tls") : 0;
		memcpy(value, "tls", *len);
		return 0;
	}
	if (level != SOL_TLS)
		return __real_getsockopt(fd, level, name, value, len);
	if (!(notes(fd) & NOTE_ULP) || (name != TLS_TX && name != TLS_RX))
		return refuse(ENOPROTOOPT);
	if (*len < sizeof(*info))
		return refuse(EINVAL);
	if (!of_it)
		return refuse(EBUSY); /* as by tls_main.c, whose context is not ready then */
	memset(value, 0, *len);
	info->version = (unsigned short)(0x300 | of_it >> 8);
	info->cipher_type = of_it & 0xff;
	return 0;
}

static void wait_for_end_of(const char *file)
{
	while (file && access(file, F_OK) == 0)
		usleep(10000);
}

int __wrap_memfile_of_file(int fd, size_t max)
{
	wait_for_end_of(getenv("FAKE_SLOW_DISK"));
	return __real_memfile_of_file(fd, max);
}

/* Those of mounts are DER, and come when the signer may open no file any more. */
int __wrap_gnutls_privkey_import_x509_raw(gnutls_privkey_t key, const gnutls_datum_t *data,
					  gnutls_x509_crt_fmt_t format, const char *password,
					  unsigned int flags)
{
	if (format == GNUTLS_X509_FMT_PEM)
		wait_for_end_of(getenv("FAKE_SLOW_KEYS"));
	return __real_gnutls_privkey_import_x509_raw(key, data, format, password, flags);
}
