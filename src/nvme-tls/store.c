// SPDX-License-Identifier: GPL-2.0-or-later
/* A key file and what can go wrong with it, said with the next step. */
#include "nvme-tls/store.h"

#include <errno.h>

#include "common/log.h"

void store_warn(const keyfile *kf)
{
	g_autofree char *problem = keyfile_problem(kf);

	if (problem)
		log_warning("warning: key file %s", problem);
}

enum exit_code store_edit(const char *path, keyfile **kf)
{
	int r = keyfile_edit(path, kf);

	switch (-r) {
	case 0:
		store_warn(*kf);
		return EXIT_OK;
	case EWOULDBLOCK:
		log_error("key file %s is locked by another program: try again when that is done",
			  path);
		break;
	case ENOTSUP:
		log_error("%s is no regular file, so no key file that can be changed", path);
		break;
	case EFBIG:
		log_error("%s is longer than any key file", path);
		break;
	case ENOENT:
		log_error("cannot make key file %s: its folder is not there: mkdir it first", path);
		break;
	default:
		log_error("cannot open key file %s: %s", path, g_strerror(-r));
		break;
	}
	return EXIT_FAILED;
}

void store_set(keyfile *kf, const char *identity, const secret *psk)
{
	g_auto(interchange_text) text = {0};

	interchange_format(psk_hash_of_size(psk->len), psk, &text);
	keyfile_set(kf, identity, &text);
}

enum exit_code store_prepare(const char *path, keyfile *kf)
{
	int r = kf ? keyfile_prepare(kf) : 0;

	if (r == 0)
		return EXIT_OK;
	log_error("cannot write key file %s: %s; the old one is as it was", path, g_strerror(-r));
	return EXIT_FAILED;
}

enum exit_code store_commit(const char *path, keyfile *kf)
{
	int r = kf ? keyfile_commit(kf) : 0;

	if (r == 0)
		return EXIT_OK;
	log_error("cannot replace key file %s: %s; the old one is as it was", path, g_strerror(-r));
	return EXIT_FAILED;
}
