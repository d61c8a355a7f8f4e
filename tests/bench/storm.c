// SPDX-License-Identifier: GPL-2.0-or-later
/* A storm of NVMe/TCP or NFS peers on OpenSSL: honest ones, silent ones, ones that stop half-way. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define PDU_LEN 128
#define PDU_ICREQ 0x00
#define MAX_EVENTS 64
/* RPC over TCP (RFC 5531): the record mark, xid, and the NULL procedure of NFS 4; then the flavor. */
#define RPC_NULL                                                                                  \
	0x80, 0, 0, 40, 's', 't', 'r', 'm', 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0x86, 0xa3, 0, 0, 0, 4, \
		0, 0, 0, 0
#define RPC_CALL_LEN 44

enum mode { HONEST, SILENT, HALF };

struct message {
	const unsigned char *bytes;
	size_t len;
};

/* What an honest peer says, and how the answers begin that it must get. */
struct protocol {
	struct message probe, offer; /* before the handshake, if at all */
	struct message request, reply;
	size_t offer_len, reply_len; /* of the whole answers */
};

static const unsigned char icreq[PDU_LEN] = {PDU_ICREQ, 0, PDU_LEN, 0, PDU_LEN};
static const unsigned char icresp[] = {0x01, 0, PDU_LEN};
static const struct protocol nvme = {
	.request = {icreq, sizeof(icreq)},
	.reply = {icresp, sizeof(icresp)},
	.reply_len = PDU_LEN,
};

/* The credential AUTH_TLS asks for TLS, and the verifier of the reply has STARTTLS (RFC 9289, 4.1). */
static const unsigned char auth_tls[RPC_CALL_LEN] = {RPC_NULL, 0, 0, 0, 7};
static const unsigned char starttls[] = {0x80, 0, 0,   32,  's', 't', 'r', 'm', 0,   0,	 0,
					 1,    0, 0,   0,   0,	 0,   0,   0,	0,   0,	 0,
					 0,    8, 'S', 'T', 'A', 'R', 'T', 'T', 'L', 'S'};
static const unsigned char auth_none[RPC_CALL_LEN] = {RPC_NULL, 0, 0, 0, 0};
static const unsigned char rpc_reply[] = {0x80, 0, 0, 24, 's', 't', 'r', 'm', 0, 0, 0, 1};
static const struct protocol nfs = {
	.probe = {auth_tls, sizeof(auth_tls)},
	.offer = {starttls, sizeof(starttls)},
	.offer_len = 36,
	.request = {auth_none, sizeof(auth_none)},
	.reply = {rpc_reply, sizeof(rpc_reply)},
	.reply_len = 28,
};

struct options {
	char *host;
	char *port;
	char *identity;
	char *key_file;
	char *mode_name;
	char *cgroup;
	char *ready_file;
	char *ca_file;
	char *certificate_file;
	gboolean nfs;
	enum mode mode;
	int connections;
	int concurrency;
	int sources;
	int timeout_s;
	int hold_s;
	int settle_ms;
};

enum state { IDLE, CONNECTING, PROBING, HANDSHAKING, ASKING, LISTENING, HOLDING, OVER };

struct peer {
	int fd;
	enum state state;
	SSL *ssl;
	gint64 start;
	size_t done; /* bytes of the answer received */
	unsigned char reply[PDU_LEN];
};

/* What a cgroup used; -1 where it has no such number. */
struct usage {
	gint64 cpu_usec;
	gint64 memory;
	gint64 pids;
};

struct storm {
	struct options o;
	unsigned char key[48];
	size_t key_len;
	struct sockaddr_storage address;
	socklen_t address_len;
	SSL_CTX *ctx;
	const struct protocol *protocol;
	GByteArray *half; /* the first half of a ClientHello */
	int epoll;
	int signals;
	struct peer *peers;
	int begun, over; /* of o.connections */
	int settled; /* connected, or failed to: of silent ones */
	int completed, held;
	GArray *latencies; /* of the completed, microseconds */
	GHashTable *failures; /* kind to number */
	gint64 start, last, first_drop;
	bool stop;
	int peak_fd; /* memory.peak, which counts anew for the descriptor that wrote to it */
	struct usage before;
};

static G_NORETURN void die(const char *format, ...) G_GNUC_PRINTF(1, 2);
static void die(const char *format, ...)
{
	va_list args;

	fputs("storm: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

/* ---- the measured cgroup ---- */

static gint64 read_number(const char *dir, const char *file, const char *key)
{
	g_autofree char *path = g_build_filename(dir, file, NULL);
	g_autofree char *text = NULL;
	const char *at;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return -1;
	at = key ? strstr(text, key) : text;
	return at ? g_ascii_strtoll(at + (key ? strlen(key) : 0), NULL, 10) : -1;
}

static struct usage usage_now(const char *cgroup)
{
	return (struct usage){
		.cpu_usec = read_number(cgroup, "cpu.stat", "usage_usec "),
		.memory = read_number(cgroup, "memory.current", NULL),
		.pids = read_number(cgroup, "pids.current", NULL),
	};
}

static void usage_begin(struct storm *s)
{
	g_autofree char *path = NULL;

	s->peak_fd = -1;
	if (!s->o.cgroup)
		return;
	path = g_build_filename(s->o.cgroup, "memory.peak", NULL);
	s->peak_fd = open(path, O_RDWR | O_CLOEXEC);
	if (s->peak_fd < 0 || pwrite(s->peak_fd, "0\n", 2, 0) != 2)
		die("%s cannot be set back: %s", path, g_strerror(errno));
	s->before = usage_now(s->o.cgroup);
}

static void usage_print(struct storm *s)
{
	struct usage after;
	char text[32] = "";

	if (!s->o.cgroup)
		return;
	after = usage_now(s->o.cgroup);
	if (pread(s->peak_fd, text, sizeof(text) - 1, 0) <= 0)
		die("memory.peak: %s", g_strerror(errno));
	printf(" cpu_usec=%" G_GINT64_FORMAT " memory_before=%" G_GINT64_FORMAT
	       " memory_peak=%" G_GINT64_FORMAT " memory_after=%" G_GINT64_FORMAT
	       " pids_before=%" G_GINT64_FORMAT " pids_peak=%" G_GINT64_FORMAT
	       " pids_after=%" G_GINT64_FORMAT,
	       after.cpu_usec - s->before.cpu_usec, s->before.memory,
	       g_ascii_strtoll(text, NULL, 10), after.memory, s->before.pids,
	       read_number(s->o.cgroup, "pids.peak", NULL), after.pids);
}

/* ---- TLS ---- */

static int psk_session(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len,
		       SSL_SESSION **session)
{
	static const unsigned char suites[2][2] = {{0x13, 0x01}, {0x13, 0x02}};
	struct storm *s = SSL_get_app_data(ssl);
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, suites[s->key_len == 48]);

	*session = NULL;
	if (md && md != SSL_CIPHER_get_handshake_digest(cipher))
		return 1;
	*session = SSL_SESSION_new();
	if (!*session || !SSL_SESSION_set1_master_key(*session, s->key, s->key_len) ||
	    !SSL_SESSION_set_cipher(*session, cipher) ||
	    !SSL_SESSION_set_protocol_version(*session, TLS1_3_VERSION))
		return 0;
	*id = (const unsigned char *)s->o.identity;
	*id_len = strlen(s->o.identity);
	return 1;
}

static void make_context(struct storm *s)
{
	s->ctx = SSL_CTX_new(TLS_client_method());
	if (!s->ctx || !SSL_CTX_set_min_proto_version(s->ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(s->ctx, s->key_len == 48 ? "TLS_AES_256_GCM_SHA384"
							       : "TLS_AES_128_GCM_SHA256") ||
	    !SSL_CTX_set1_groups_list(s->ctx, "X25519"))
		die("OpenSSL has not what TLS 1.3 needs");
	SSL_CTX_set_mode(s->ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_OFF);
	if (!s->o.nfs) {
		SSL_CTX_set_psk_use_session_callback(s->ctx, psk_session);
		return;
	}
	if (s->o.ca_file) {
		SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER, NULL);
		if (!SSL_CTX_load_verify_file(s->ctx, s->o.ca_file))
			die("%s cannot be used", s->o.ca_file);
	}
	if (s->o.certificate_file &&
	    (!SSL_CTX_use_certificate_chain_file(s->ctx, s->o.certificate_file) ||
	     !SSL_CTX_use_PrivateKey_file(s->ctx, s->o.certificate_file, SSL_FILETYPE_PEM)))
		die("%s has not a certificate and its key", s->o.certificate_file);
}

static SSL *make_ssl(struct storm *s)
{
	SSL *ssl = SSL_new(s->ctx);

	if (!ssl)
		die("no memory for a TLS session");
	SSL_set_app_data(ssl, s);
	SSL_set_connect_state(ssl);
	return ssl;
}

static void make_half(struct storm *s)
{
	SSL *ssl = make_ssl(s);
	BIO *out = BIO_new(BIO_s_mem());
	char *bytes;
	long len;

	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
	SSL_do_handshake(ssl);
	len = BIO_get_mem_data(out, &bytes);
	if (len < 100)
		die("OpenSSL makes no ClientHello");
	s->half = g_byte_array_new();
	g_byte_array_append(s->half, (const guint8 *)bytes, (guint)(len / 2));
	SSL_free(ssl);
	ERR_clear_error();
}

/* ---- peers ---- */

static void watch(struct storm *s, struct peer *p, int op, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.u32 = (uint32_t)(p - s->peers)};

	if (epoll_ctl(s->epoll, op, p->fd, &event) < 0)
		die("epoll: %s", g_strerror(errno));
}

static void end(struct storm *s, struct peer *p)
{
	if (p->state == OVER)
		return;
	if (p->state == CONNECTING)
		s->settled++;
	p->state = OVER;
	if (p->ssl) {
		SSL_free(p->ssl);
		p->ssl = NULL;
	}
	close(p->fd);
	s->over++;
	s->last = g_get_monotonic_time();
}

static void failed(struct storm *s, struct peer *p, const char *kind)
{
	int *n = g_hash_table_lookup(s->failures, kind);

	if (!n) {
		n = g_new0(int, 1);
		g_hash_table_insert(s->failures, g_strdup(kind), n);
	}
	(*n)++;
	if (!s->first_drop)
		s->first_drop = g_get_monotonic_time();
	end(s, p);
}

static void completed(struct storm *s, struct peer *p)
{
	gint64 usec = g_get_monotonic_time() - p->start;

	g_array_append_val(s->latencies, usec);
	s->completed++;
	end(s, p);
}

static const char *errno_kind(int err)
{
	switch (err) {
	case ECONNREFUSED:
		return "refused";
	case ECONNRESET:
	case EPIPE:
		return "reset";
	case ETIMEDOUT:
		return "unreachable";
	default:
		return g_strerror(err);
	}
}

static void tls_failed(struct storm *s, struct peer *p, int r)
{
	int why = SSL_get_error(p->ssl, r);
	int saved = errno;
	unsigned long err = ERR_peek_error();
	int reason = ERR_GET_REASON(err);
	g_autofree char *kind = NULL;

	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
		watch(s, p, EPOLL_CTL_MOD, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
		return;
	}
	if (why == SSL_ERROR_SSL && reason > SSL_AD_REASON_OFFSET &&
	    reason < SSL_AD_REASON_OFFSET + 256)
		kind = g_strdup_printf("alert_%d", reason - SSL_AD_REASON_OFFSET);
	else if (why == SSL_ERROR_SSL && reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
		kind = g_strdup(p->state == HANDSHAKING ? "closed" : "closed_after");
	else if (why == SSL_ERROR_ZERO_RETURN)
		kind = g_strdup("closed_after");
	else if (why == SSL_ERROR_SYSCALL)
		kind = g_strdup_printf("%s%s", saved ? errno_kind(saved) : "closed",
				       p->state == HANDSHAKING ? "" : "_after");
	else
		kind = g_strdup_printf("tls_%s", ERR_reason_error_string(err) ?: "unknown");
	ERR_clear_error();
	failed(s, p, kind);
}

static void run_tls(struct storm *s, struct peer *p)
{
	const struct protocol *protocol = s->protocol;
	int r;

	ERR_clear_error();
	errno = 0;
	if (p->state == HANDSHAKING) {
		r = SSL_do_handshake(p->ssl);
		if (r <= 0) {
			tls_failed(s, p, r);
			return;
		}
		p->state = ASKING;
	}
	if (p->state == ASKING) {
		r = SSL_write(p->ssl, protocol->request.bytes, (int)protocol->request.len);
		if (r <= 0) {
			tls_failed(s, p, r);
			return;
		}
		p->state = LISTENING;
	}
	while (p->done < protocol->reply_len) {
		r = SSL_read(p->ssl, p->reply + p->done, (int)(protocol->reply_len - p->done));
		if (r <= 0) {
			tls_failed(s, p, r);
			return;
		}
		p->done += (size_t)r;
	}
	if (memcmp(p->reply, protocol->reply.bytes, protocol->reply.len) == 0)
		completed(s, p);
	else
		failed(s, p, "bad_reply");
}

static void begin_tls(struct storm *s, struct peer *p)
{
	p->state = HANDSHAKING;
	p->done = 0;
	p->ssl = make_ssl(s);
	SSL_set_fd(p->ssl, p->fd);
	run_tls(s, p);
}

static void send_probe(struct storm *s, struct peer *p)
{
	const struct message *probe = &s->protocol->probe;

	p->state = PROBING;
	if (send(p->fd, probe->bytes, probe->len, MSG_NOSIGNAL) != (ssize_t)probe->len)
		failed(s, p, errno_kind(errno));
	else
		watch(s, p, EPOLL_CTL_MOD, EPOLLIN);
}

static void read_offer(struct storm *s, struct peer *p)
{
	const struct protocol *protocol = s->protocol;
	ssize_t n = recv(p->fd, p->reply + p->done, protocol->offer_len - p->done, 0);

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			failed(s, p, n == 0 ? "closed_before" : errno_kind(errno));
		return;
	}
	p->done += (size_t)n;
	if (p->done < protocol->offer_len)
		return;
	if (memcmp(p->reply, protocol->offer.bytes, protocol->offer.len) == 0)
		begin_tls(s, p);
	else
		failed(s, p, "no_offer");
}

static void connected(struct storm *s, struct peer *p)
{
	s->settled++;
	switch (s->o.mode) {
	case HONEST:
		if (s->protocol->probe.len)
			send_probe(s, p);
		else
			begin_tls(s, p);
		break;
	case HALF:
		if (send(p->fd, s->half->data, s->half->len, MSG_NOSIGNAL) !=
		    (ssize_t)s->half->len) {
			p->state = HANDSHAKING;
			failed(s, p, errno_kind(errno));
			return;
		}
		/* fallthrough */
	case SILENT:
		p->state = HOLDING;
		watch(s, p, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP);
		break;
	}
}

static void bind_source(struct storm *s, struct peer *p)
{
	struct sockaddr_in source = {.sin_family = AF_INET};
	int on = 1;

	if (s->o.sources <= 1)
		return;
	source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 +
				       (uint32_t)((p - s->peers) % s->o.sources));
	setsockopt(p->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(p->fd, (struct sockaddr *)&source, sizeof(source)) < 0)
		die("no source address: %s", g_strerror(errno));
}

static void begin(struct storm *s)
{
	struct peer *p = &s->peers[s->begun++];
	int on = 1;

	p->fd = socket(s->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		die("socket: %s", g_strerror(errno));
	/* As the kernel's host does; the ICReq would wait for the ACK of the Finished. */
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	bind_source(s, p);
	p->start = g_get_monotonic_time();
	p->state = CONNECTING;
	if (connect(p->fd, (struct sockaddr *)&s->address, s->address_len) < 0 &&
	    errno != EINPROGRESS) {
		failed(s, p, errno_kind(errno));
		return;
	}
	watch(s, p, EPOLL_CTL_ADD, EPOLLOUT);
}

static void on_event(struct storm *s, struct peer *p)
{
	socklen_t len = sizeof(int);
	int err = 0;

	switch (p->state) {
	case CONNECTING:
		getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len);
		if (err)
			failed(s, p, errno_kind(err));
		else
			connected(s, p);
		break;
	case HOLDING:
		failed(s, p, "dropped");
		break;
	case PROBING:
		read_offer(s, p);
		break;
	case HANDSHAKING:
	case ASKING:
	case LISTENING:
		run_tls(s, p);
		break;
	case IDLE:
	case OVER:
		break;
	}
}

static void check_times(struct storm *s, gint64 now)
{
	if (s->o.mode != HONEST) {
		if (now - s->start >= (gint64)s->o.hold_s * G_USEC_PER_SEC)
			s->stop = true;
		return;
	}
	for (int i = 0; i < s->begun; i++)
		if (s->peers[i].state != OVER &&
		    now - s->peers[i].start >= (gint64)s->o.timeout_s * G_USEC_PER_SEC)
			failed(s, &s->peers[i],
			       s->peers[i].state == CONNECTING	  ? "timeout_connecting"
			       : s->peers[i].state == PROBING	  ? "timeout_probing"
			       : s->peers[i].state == HANDSHAKING ? "timeout_handshake"
								  : "timeout_after");
}

static void say_ready(struct storm *s)
{
	if (!s->o.ready_file || s->settled < s->o.connections)
		return;
	if (!g_file_set_contents(s->o.ready_file, "", 0, NULL))
		die("%s cannot be written", s->o.ready_file);
	s->o.ready_file = NULL;
}

static void run(struct storm *s)
{
	struct epoll_event events[MAX_EVENTS];
	gint64 checked = 0;

	s->start = g_get_monotonic_time();
	while (!s->stop && s->over < s->o.connections) {
		gint64 now = g_get_monotonic_time();
		int n;

		while (s->begun < s->o.connections && s->begun - s->over < s->o.concurrency)
			begin(s);
		say_ready(s);
		if (now - checked >= G_USEC_PER_SEC / 10) {
			checked = now;
			check_times(s, now);
		}
		n = epoll_wait(s->epoll, events, MAX_EVENTS, 100);
		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == UINT32_MAX)
				s->stop = true;
			else
				on_event(s, &s->peers[events[i].data.u32]);
		}
	}
	if (s->stop)
		s->last = g_get_monotonic_time();
	for (int i = 0; i < s->begun; i++) {
		if (s->peers[i].state == HOLDING)
			s->held++;
		else if (s->peers[i].state != OVER)
			failed(s, &s->peers[i], "unfinished");
	}
}

/* ---- results ---- */

static int compare(const void *a, const void *b)
{
	gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

	return (x > y) - (x < y);
}

/* The nearest rank. */
static gint64 percentile(const struct storm *s, unsigned int percent)
{
	guint n = s->latencies->len;
	guint rank = (n * percent + 99) / 100;

	return n ? g_array_index(s->latencies, gint64, rank ? rank - 1 : 0) : 0;
}

static void print_failures(const struct storm *s)
{
	g_autoptr(GList)
		kinds = g_list_sort(g_hash_table_get_keys(s->failures), (GCompareFunc)strcmp);
	int sum = 0;

	for (GList *k = kinds; k; k = k->next)
		sum += *(int *)g_hash_table_lookup(s->failures, k->data);
	printf(" failed=%d", sum);
	for (GList *k = kinds; k; k = k->next) {
		g_autofree char *name = g_strdelimit(g_strdup(k->data), " =", '_');

		printf(" fail_%s=%d", name, *(int *)g_hash_table_lookup(s->failures, k->data));
	}
}

static void print_results(struct storm *s)
{
	double seconds = (double)(s->last - s->start) / G_USEC_PER_SEC;
	struct rusage self;

	g_array_sort(s->latencies, compare);
	getrusage(RUSAGE_SELF, &self);
	printf("mode=%s connections=%d concurrency=%d completed=%d held=%d", s->o.mode_name,
	       s->o.connections, MIN(s->o.concurrency, s->o.connections), s->completed, s->held);
	print_failures(s);
	printf(" first_failure_ms=%" G_GINT64_FORMAT,
	       s->first_drop ? (s->first_drop - s->start) / 1000 : 0);
	printf(" seconds=%.3f rate=%.1f p50_usec=%" G_GINT64_FORMAT " p99_usec=%" G_GINT64_FORMAT
	       " max_usec=%" G_GINT64_FORMAT,
	       seconds, seconds > 0 ? s->completed / seconds : 0, percentile(s, 50),
	       percentile(s, 99), percentile(s, 100));
	printf(" client_cpu_usec=%lld", (self.ru_utime.tv_sec + self.ru_stime.tv_sec) * 1000000LL +
						self.ru_utime.tv_usec + self.ru_stime.tv_usec);
	if (s->o.settle_ms)
		g_usleep((gulong)s->o.settle_ms * 1000);
	usage_print(s);
	printf("\n");
	fflush(stdout);
}

/* ---- start ---- */

static void read_key(struct storm *s)
{
	g_autofree char *from_file = NULL;
	const char *hex = g_getenv("STORM_KEY");
	size_t len;

	if (s->o.key_file) {
		if (!g_file_get_contents(s->o.key_file, &from_file, NULL, NULL))
			die("%s cannot be read", s->o.key_file);
		hex = g_strstrip(from_file);
	}
	len = hex ? strlen(hex) / 2 : 0;
	if (len != 32 && len != 48)
		die("the key is 64 or 96 hexadecimal digits, in --key-file or STORM_KEY");
	for (size_t i = 0; i < len; i++) {
		int high = g_ascii_xdigit_value(hex[2 * i]),
		    low = g_ascii_xdigit_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			die("the key has other than hexadecimal digits");
		s->key[i] = (unsigned char)(high << 4 | low);
	}
	s->key_len = len;
}

static void resolve(struct storm *s)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	int r = getaddrinfo(s->o.host, s->o.port, &hints, &found);

	if (r)
		die("%s: %s", s->o.host, gai_strerror(r));
	memcpy(&s->address, found->ai_addr, found->ai_addrlen);
	s->address_len = found->ai_addrlen;
	freeaddrinfo(found);
}

static void parse(struct options *o, int *argc, char ***argv)
{
	const GOptionEntry entries[] = {
		{"host", 0, 0, G_OPTION_ARG_STRING, &o->host, "The target's address (127.0.0.1)",
		 "HOST"},
		{"port", 0, 0, G_OPTION_ARG_STRING, &o->port, "and port (4420)", "PORT"},
		{"identity", 0, 0, G_OPTION_ARG_STRING, &o->identity, "PSK identity", "TEXT"},
		{"key-file", 0, 0, G_OPTION_ARG_FILENAME, &o->key_file,
		 "File with the TLS PSK in hexadecimal (or the environment's STORM_KEY)", "FILE"},
		{"nfs", 0, 0, G_OPTION_ARG_NONE, &o->nfs,
		 "NFS clients with certificates, each up to the reply to a NULL", NULL},
		{"ca", 0, 0, G_OPTION_ARG_FILENAME, &o->ca_file, "What the server's is verified by",
		 "FILE"},
		{"certificate", 0, 0, G_OPTION_ARG_FILENAME, &o->certificate_file,
		 "A client's certificate and its key in one file", "FILE"},
		{"mode", 0, 0, G_OPTION_ARG_STRING, &o->mode_name,
		 "honest: up to an ICResp (or NULL's reply); silent: connect and hold; half: half a ClientHello and hold",
		 "MODE"},
		{"connections", 'n', 0, G_OPTION_ARG_INT, &o->connections, "How many (1)", "N"},
		{"concurrency", 'c', 0, G_OPTION_ARG_INT, &o->concurrency, "At a time (all)", "N"},
		{"sources", 0, 0, G_OPTION_ARG_INT, &o->sources, "Source addresses, from 127.0.0.2",
		 "N"},
		{"timeout", 0, 0, G_OPTION_ARG_INT, &o->timeout_s, "Of an honest peer (120)",
		 "SECONDS"},
		{"hold", 0, 0, G_OPTION_ARG_INT, &o->hold_s,
		 "How long the others hold, if no SIGTERM comes first (30)", "SECONDS"},
		{"ready", 0, 0, G_OPTION_ARG_FILENAME, &o->ready_file,
		 "Made when every connect has succeeded or failed", "FILE"},
		{"cgroup", 0, 0, G_OPTION_ARG_FILENAME, &o->cgroup,
		 "Say what this cgroup used meanwhile", "DIRECTORY"},
		{"settle", 0, 0, G_OPTION_ARG_INT, &o->settle_ms,
		 "Time between the last connection's end and that (500)", "MS"},
		{0},
	};
	static const char *const modes[] = {"honest", "silent", "half"};
	g_autoptr(GOptionContext)
		context = g_option_context_new("- a storm of NVMe/TCP or NFS peers");
	g_autoptr(GError) error = NULL;

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, argc, argv, &error))
		die("%s", error->message);
	if (*argc > 1)
		die("unexpected argument \"%s\"", (*argv)[1]);
	for (o->mode = HONEST; o->mode <= HALF; o->mode++)
		if (strcmp(modes[o->mode], o->mode_name) == 0)
			break;
	if (o->mode > HALF)
		die("a mode is one of honest, silent, half");
	if (o->connections < 1)
		die("at least one connection");
	if (o->concurrency < 1)
		o->concurrency = o->connections;
	if (o->mode != HONEST && o->concurrency < o->connections)
		die("peers that hold are all there at once");
	if (o->mode != SILENT && !o->nfs && !o->identity)
		die("an identity is needed");
	if (o->mode != HONEST && o->nfs)
		die("NFS clients are honest");
}

static void open_loop(struct storm *s)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
	struct rlimit limit;
	sigset_t mask;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < (rlim_t)s->o.concurrency + 16)
		die("only %lu descriptors: ulimit -n", (unsigned long)limit.rlim_cur);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	s->signals = signalfd(-1, &mask, SFD_CLOEXEC);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->signals < 0 || s->epoll < 0 ||
	    epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->signals, &event) < 0)
		die("no event loop: %s", g_strerror(errno));
}

int main(int argc, char **argv)
{
	struct storm s = {.o = {
				  .host = g_strdup("127.0.0.1"),
				  .port = g_strdup("4420"),
				  .mode_name = g_strdup("honest"),
				  .connections = 1,
				  .timeout_s = 120,
				  .hold_s = 30,
				  .settle_ms = 500,
			  }};

	parse(&s.o, &argc, &argv);
	s.protocol = s.o.nfs ? &nfs : &nvme;
	resolve(&s);
	if (s.o.mode != SILENT) {
		if (!s.o.nfs)
			read_key(&s);
		make_context(&s);
	}
	if (s.o.mode == HALF)
		make_half(&s);
	open_loop(&s);
	s.peers = g_new0(struct peer, s.o.connections);
	s.latencies = g_array_new(FALSE, FALSE, sizeof(gint64));
	s.failures = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	usage_begin(&s);
	run(&s);
	/* Those that hold let go before memory is asked for again. */
	for (int i = 0; i < s.begun; i++)
		if (s.peers[i].state == HOLDING)
			end(&s, &s.peers[i]);
	print_results(&s);
	return EXIT_SUCCESS;
}
