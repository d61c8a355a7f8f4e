/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nvme-tls doctor: the names of its checks, for completion. */
#pragma once

#include <stddef.h>

/** doctor_check_name() - the name of check @n, from 0, in their order; NULL behind the last. Static. */
const char *doctor_check_name(size_t n);
