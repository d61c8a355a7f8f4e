/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory that stays in memory: tlshd may live on the disk that it serves. */
#pragma once

/**
 * memory_lock() - have nothing of this process read from a disk, or written to one, any more.
 *
 * Programs and libraries are read now, as a whole. Other memory is locked as it is used, so that a large
 * mapping costs no more than before. A forked child has to call this for itself; it reads nothing that its
 * parent has locked. Needs RLIMIT_MEMLOCK to be infinite, or the right to raise it, because the kernel counts
 * what is reserved (a thread's stack is 8 MB) and fails every allocation beyond the limit. A build with a
 * sanitizer, which reserves terabytes, locks nothing. To be called before sandbox_enter().
 *
 * Return: 0; a negative errno when the kernel refuses: some memory may be locked then, or none, and no later
 * allocation fails for it.
 */
int memory_lock(void);

/** memory_trim() - give memory that is free back to the kernel, locked or not. */
void memory_trim(void);
