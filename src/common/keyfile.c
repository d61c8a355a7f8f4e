// SPDX-License-Identifier: GPL-2.0-or-later
/* Key files: one "identity key" pair a line, the key a TLS PSK in interchange format. */
#include "common/keyfile.h"

#include <errno.h>
#include <string.h>

#include "common/lockedfile.h"

/* NVMe Base Specification, "Secret Representation" of DH-HMAC-CHAP; 64 bytes and a CRC at most. */
#define CHAP_BEGINS "DHHC-1:"
#define CHAP_MAX 128

/* Where a line lies in the content. */
struct line {
	size_t start, len;
};

/* What is to become of the lines of an identity. Several identities can share one. */
struct edit {
	blob text; /* the line that takes their place, without newline; none: they go */
	bool placed; /* while the new content is made */
};

struct keyfile {
	blob content;
	GArray *lines; /* of struct line */
	GHashTable *last; /* identity to the index of its last line; NULL until it is needed */
	GHashTable *edits; /* identity to struct edit, borrowed */
	GPtrArray *edit_list; /* the edits, owned, in their order */
	lockedfile *file; /* NULL unless it is edited */
	char *path; /* as it was given; NULL unless it came from a file */
	struct stat st;
	bool have_st;
};

static void edit_free(void *data)
{
	struct edit *edit = data;

	blob_clear(&edit->text);
	g_free(edit);
}

void keyfile_free(keyfile *kf)
{
	if (!kf)
		return;
	blob_clear(&kf->content);
	g_array_unref(kf->lines);
	if (kf->last)
		g_hash_table_unref(kf->last);
	g_hash_table_unref(kf->edits);
	g_ptr_array_unref(kf->edit_list);
	lockedfile_free(kf->file);
	g_free(kf->path);
	g_free(kf);
}

/* Takes @content over. */
static keyfile *keyfile_new(blob *content)
{
	keyfile *kf = g_new0(keyfile, 1);
	const char *text;
	size_t at = 0, len;

	kf->content = *content;
	*content = (blob){0};
	kf->lines = g_array_new(FALSE, FALSE, sizeof(struct line));
	kf->edits = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	kf->edit_list = g_ptr_array_new_with_free_func(edit_free);
	while (blob_next_line(&kf->content, &at, &text, &len)) {
		struct line line = {.start = (size_t)(text - kf->content.data), .len = len};

		g_array_append_val(kf->lines, line);
	}
	return kf;
}

keyfile *keyfile_parse(const char *data, size_t len)
{
	blob content = blob_copy(data, len);

	return keyfile_new(&content);
}

static void set_stat(keyfile *kf, const struct stat *st)
{
	kf->st = *st;
	kf->have_st = S_ISREG(st->st_mode);
}

int keyfile_read_fd(int fd, keyfile **kf)
{
	blob content;
	struct stat st;
	int r = blob_read(fd, KEYFILE_MAX, &content);

	*kf = NULL;
	if (r < 0)
		return r;
	*kf = keyfile_new(&content);
	if (fstat(fd, &st) == 0)
		set_stat(*kf, &st);
	return 0;
}

int keyfile_read(const char *path, keyfile **kf)
{
	blob content;
	struct stat st;
	int r = lockedfile_read(path, KEYFILE_MAX, &content, &st);

	*kf = NULL;
	if (r < 0)
		return r;
	*kf = keyfile_new(&content);
	(*kf)->path = g_strdup(path);
	set_stat(*kf, &st);
	return 0;
}

int keyfile_edit(const char *path, bool create, keyfile **kf)
{
	lockedfile *file;
	blob content;
	int r = lockedfile_open(path, create, KEYFILE_MAX, &file);

	*kf = NULL;
	if (r < 0)
		return r;
	content = blob_copy(file->content.data, file->content.len);
	*kf = keyfile_new(&content);
	(*kf)->file = file;
	(*kf)->path = g_strdup(path);
	set_stat(*kf, &file->st);
	return 0;
}

char *keyfile_problem(const keyfile *kf)
{
	g_autofree char *quoted = kf->path ? g_shell_quote(kf->path) : NULL;

	if (!quoted || !kf->have_st)
		return NULL;
	if (kf->st.st_uid != 0)
		return g_strdup_printf("%s belongs to uid %u, not to root, who can change the keys: chown root:root %s",
				       kf->path, (unsigned int)kf->st.st_uid, quoted);
	if (kf->st.st_mode & 077)
		return g_strdup_printf("%s has mode %04o, others than root can get at the keys: chmod 600 %s",
				       kf->path, kf->st.st_mode & 07777, quoted);
	return NULL;
}

void keyfile_entry_clear(keyfile_entry *entry)
{
	g_free(entry->identity);
	g_free(entry->why);
	interchange_wipe(&entry->key);
	blob_clear(&entry->chap);
	memset(entry, 0, sizeof(*entry));
}

size_t keyfile_lines(const keyfile *kf)
{
	return kf->lines->len;
}

/* A line's identity and key; lengths of 0 where they are missing. */
struct words {
	const char *identity, *key;
	size_t identity_len, key_len;
};

static struct words split(const char *text, size_t len)
{
	const char *p = text, *end = text + len;
	struct words w;

	while (p < end && g_ascii_isspace(*p))
		p++;
	while (end > p && g_ascii_isspace(end[-1]))
		end--;
	w.identity = p;
	w.key = end;
	while (w.key > p && !g_ascii_isspace(w.key[-1]))
		w.key--;
	w.key_len = (size_t)(end - w.key);
	for (end = w.key; end > p && g_ascii_isspace(end[-1]);)
		end--;
	w.identity_len = (size_t)(end - p);
	return w;
}

/* The identity of a line, whose key may well be a bad one; NULL when it has none. */
static char *identity_of(const char *text, size_t len)
{
	struct words w = split(text, len);

	if (!w.key_len || !w.identity_len || w.identity[0] == '#' ||
	    memchr(w.identity, 0, w.identity_len))
		return NULL;
	return g_strndup(w.identity, w.identity_len);
}

static char *check_entry(const keyfile_entry *entry)
{
	g_auto(nvme_identity) id = {0};
	const char *why;

	if (nvme_identity_split(entry->identity, &id, &why) < 0)
		return g_strdup_printf("not an NVMe identity: %s", why);
	if (entry->key.key.len != psk_hash_size(id.hash))
		return g_strdup_printf("the identity names %s, whose keys have %zu bytes; this one has %zu",
				       psk_hash_name(id.hash), psk_hash_size(id.hash),
				       entry->key.key.len);
	return NULL;
}

enum keyfile_kind keyfile_line(const keyfile *kf, size_t index, keyfile_entry *entry)
{
	const struct line *line = &g_array_index(kf->lines, struct line, index);
	const char *start = kf->content.data + line->start;
	struct words w = split(start, line->len);
	g_autofree char *why = NULL;
	interchange_text text = {0};

	memset(entry, 0, sizeof(*entry));
	if (memchr(start, 0, line->len)) {
		entry->why = g_strdup("it holds a NUL byte: is this a key file?");
		return KEYFILE_BAD;
	}
	if (!w.key_len || w.identity[0] == '#')
		return KEYFILE_BLANK;
	if (!w.identity_len) {
		entry->why = g_strdup("it has one word, where an identity and a key belong");
		return KEYFILE_BAD;
	}
	if (w.key_len <= CHAP_MAX &&
	    memcmp(w.key, CHAP_BEGINS, MIN(w.key_len, strlen(CHAP_BEGINS))) == 0 &&
	    w.key_len > strlen(CHAP_BEGINS)) {
		entry->identity = g_strndup(w.identity, w.identity_len);
		entry->chap = blob_copy(w.key, w.key_len);
		return KEYFILE_CHAP;
	}
	if (w.key_len > INTERCHANGE_MAX) {
		entry->why = g_strdup("its last word is too long for a key in interchange format");
		return KEYFILE_BAD;
	}
	memcpy(text.s, w.key, w.key_len);
	if (interchange_parse(text.s, &entry->key, &why) < 0) {
		entry->why = g_strdup_printf("its last word is not a key: %s", why);
	} else {
		entry->identity = g_strndup(w.identity, w.identity_len);
		entry->why = check_entry(entry);
	}
	interchange_text_wipe(&text);
	if (!entry->why)
		return KEYFILE_ENTRY;
	g_clear_pointer(&entry->identity, g_free);
	interchange_wipe(&entry->key);
	return KEYFILE_BAD;
}

static void index_lines(keyfile *kf)
{
	if (kf->last)
		return;
	kf->last = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	for (guint i = 0; i < kf->lines->len; i++) {
		const struct line *line = &g_array_index(kf->lines, struct line, i);
		char *identity = identity_of(kf->content.data + line->start, line->len);

		if (identity)
			g_hash_table_replace(kf->last, identity, GUINT_TO_POINTER(i));
	}
}

bool keyfile_has(keyfile *kf, const char *identity)
{
	index_lines(kf);
	return g_hash_table_contains(kf->last, identity);
}

bool keyfile_get(keyfile *kf, const char *identity, keyfile_entry *entry)
{
	void *last;

	memset(entry, 0, sizeof(*entry));
	index_lines(kf);
	if (!g_hash_table_lookup_extended(kf->last, identity, NULL, &last))
		return false;
	/* A bad line is passed over by whoever reads the file, so an earlier one counts. */
	for (guint i = GPOINTER_TO_UINT(last) + 1; i-- > 0;) {
		if (keyfile_line(kf, i, entry) == KEYFILE_ENTRY &&
		    strcmp(entry->identity, identity) == 0)
			return true;
		keyfile_entry_clear(entry);
	}
	return false;
}

static struct edit *edit_new(keyfile *kf)
{
	struct edit *edit = g_new0(struct edit, 1);

	g_ptr_array_add(kf->edit_list, edit);
	return edit;
}

void keyfile_set(keyfile *kf, const char *identity, const interchange_text *text)
{
	keyfile_replace(kf, identity, identity, text);
}

void keyfile_replace(keyfile *kf, const char *old, const char *identity,
		     const interchange_text *text)
{
	struct edit *edit = edit_new(kf);

	edit->text = blob_new(strlen(identity) + 1 + strlen(text->s));
	blob_add(&edit->text, identity, strlen(identity));
	blob_add(&edit->text, " ", 1);
	blob_add(&edit->text, text->s, strlen(text->s));
	g_hash_table_replace(kf->edits, g_strdup(old), edit);
	g_hash_table_replace(kf->edits, g_strdup(identity), edit);
}

bool keyfile_remove(keyfile *kf, const char *identity)
{
	bool there = keyfile_has(kf, identity);

	if (there || g_hash_table_contains(kf->edits, identity))
		g_hash_table_replace(kf->edits, g_strdup(identity), edit_new(kf));
	return there;
}

static void add_line(blob *out, const char *text, size_t len)
{
	blob_add(out, text, len);
	blob_add(out, "\n", 1);
}

/* The content with all edits done. */
static blob edited(const keyfile *kf)
{
	size_t len = kf->content.len + 1;
	GHashTableIter iter;
	struct edit *edit;
	blob out;

	for (guint i = 0; i < kf->edit_list->len; i++) {
		edit = g_ptr_array_index(kf->edit_list, i);
		edit->placed = true; /* unless somebody still refers to it */
		len += edit->text.len + 1;
	}
	g_hash_table_iter_init(&iter, kf->edits);
	while (g_hash_table_iter_next(&iter, NULL, (void **)&edit))
		edit->placed = !edit->text.data;
	out = blob_new(len);
	for (guint i = 0; i < kf->lines->len; i++) {
		const struct line *line = &g_array_index(kf->lines, struct line, i);
		const char *text = kf->content.data + line->start;
		g_autofree char *identity = identity_of(text, line->len);

		edit = identity ? g_hash_table_lookup(kf->edits, identity) : NULL;
		if (!edit)
			add_line(&out, text, line->len);
		else if (!edit->placed)
			add_line(&out, edit->text.data, edit->text.len);
		if (edit)
			edit->placed = true;
	}
	for (guint i = 0; i < kf->edit_list->len; i++) {
		edit = g_ptr_array_index(kf->edit_list, i);
		if (!edit->placed)
			add_line(&out, edit->text.data, edit->text.len);
	}
	return out;
}

keyfile *keyfile_preview(const keyfile *kf)
{
	blob content = edited(kf);

	return keyfile_new(&content);
}

int keyfile_prepare(keyfile *kf)
{
	g_auto(blob) next = {0};

	if (!kf->file)
		return -EINVAL;
	if (!kf->edit_list->len)
		return 0;
	next = edited(kf);
	return next.len > KEYFILE_MAX ? -EFBIG : lockedfile_prepare(kf->file, &next);
}

int keyfile_commit(keyfile *kf)
{
	return kf->edit_list->len ? lockedfile_commit(kf->file) : 0;
}
