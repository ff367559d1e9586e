#ifndef CGROUP_MEMORY_PARSE_H
#define CGROUP_MEMORY_PARSE_H

/* The kernel's texts about memory: pure functions over (text, length), which need no NUL. All
 * return true and set *value, or return false and leave it alone. A line that has no newline at its
 * end was cut and is not believed. */

#include "cgroup/memory.h"

#include <stddef.h>

/* A file of one number ("1234\n"), or of "max\n", which is MEMORY_UNLIMITED. v1 says "no limit"
 * with the largest multiple of a page that fits a signed 64-bit number: everything from 2^62 on is
 * taken as MEMORY_UNLIMITED. A number that does not fit is MEMORY_UNLIMITED too. */
bool memory_parse_number(const char *text, size_t length, uint64_t *value);

/* The number in the line "KEY NUMBER" (memory.stat, memory.events, memory.oom_control) or "KEY:
 * NUMBER kB" (meminfo; times 1024). The first such line counts. */
bool memory_parse_key(const char *text, size_t length, const char *key, uint64_t *value);

/* `total=` of the lines "some" and "full" of a pressure file, and `avg10=` of "some". A missing
 * line "full" leaves it zero; without "some" nothing is known. */
bool memory_parse_stall(const char *text, size_t length, struct memory_stall *stall);

/*
 * MemAvailable as the kernel would tell it, from memory.stat of the root group and the `total` and
 * `free` bytes of sysinfo(2): free memory, the file cache and reclaimable slabs, less a 64th of the
 * whole for what the kernel keeps free.
 */
bool memory_parse_available(const char *text, size_t length, uint64_t total, uint64_t free,
                            uint64_t *value);

/* usage - inactive, but at least anonymous, and never above usage unless anonymous is. */
uint64_t memory_parse_working_set(uint64_t usage, uint64_t inactive, uint64_t anonymous);

#endif
