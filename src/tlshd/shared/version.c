// SPDX-License-Identifier: GPL-2.0-or-later
/* Which build this process runs: two processes that speak ipc must be of the same. */
#include "tlshd/shared/version.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <glib.h>

/* Bytes of the build ID that are enough to tell two builds apart. */
#define ID_BYTES 8

static const char id_name[] = "GNU";

/* The build ID among the notes at @at, or NULL. */
static const unsigned char *find_id(const char *at, size_t size)
{
	const ElfW(Nhdr) * note;

	while (size >= sizeof(*note)) {
		size_t name, desc;

		note = (const void *)at;
		name = (note->n_namesz + 3U) & ~3U;
		desc = (note->n_descsz + 3U) & ~3U;
		if (sizeof(*note) + name + desc > size)
			return NULL;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof(id_name) &&
		    note->n_descsz >= ID_BYTES &&
		    memcmp(at + sizeof(*note), id_name, sizeof(id_name)) == 0)
			return (const unsigned char *)at + sizeof(*note) + name;
		at += sizeof(*note) + name + desc;
		size -= sizeof(*note) + name + desc;
	}
	return NULL;
}

/* Called for the program itself first. */
static int look_at_program(struct dl_phdr_info *info, size_t size, void *ctx)
{
	const unsigned char **id = ctx;

	for (int i = 0; i < info->dlpi_phnum && !*id; i++)
		if (info->dlpi_phdr[i].p_type == PT_NOTE)
			*id = find_id((const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr),
				      info->dlpi_phdr[i].p_memsz);
	return 1;
}

const char *version_of_build(void)
{
	static char text[VERSION_SIZE];
	const unsigned char *id = NULL;

	if (*text)
		return text;
	g_strlcpy(text, PROJECT_VERSION, sizeof(text));
	dl_iterate_phdr(look_at_program, &id);
	for (int i = 0; id && i < ID_BYTES; i++) {
		char byte[4];

		snprintf(byte, sizeof(byte), i ? "%02x" : " %02x", id[i]);
		g_strlcat(text, byte, sizeof(text));
	}
	return text;
}
