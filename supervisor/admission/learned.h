#ifndef SUPERVISOR_LEARNED_H
#define SUPERVISOR_LEARNED_H

/*
 * What was learned about destinations, and the limit, kept over a reload, a restart and a reboot of the machine.
 *
 * One small file in a directory that the caller has open (data_directory). It is written beside its place and renamed, so
 * a reader sees the old or the new one. It is not synced: what is lost with the power is learned again, and half a
 * file is found damaged by its checksum. A damaged file, or one of another version, is removed and nothing is taken
 * from it: wrong evidence is worse than none.
 *
 * Times in the file are wall-clock, because the monotonic clock starts anew at a reboot. `wall` is CLOCK_REALTIME in us,
 * `now` CLOCK_MONOTONIC in us, both of the moment of the call. When the wall clock went back, no time is taken to have
 * passed. What is older than LEARNED_AGE is neither written nor taken over; at most LEARNED_MAX destinations are
 * kept, the most recently used ones.
 *
 * Format, all numbers little-endian:
 *     8 bytes "HDRMLEAR"; 4 bytes version; 8 bytes wall-clock time of writing; 4 bytes limit
 *     per destination: 1 byte length of the key (not 0), the key; 1 byte flags (1: the last failure was a hang);
 *         4 bytes window; 8 bytes each: service time, the least of them, last success, last failure, last quick answer
 *         (0: never)
 *     1 byte 0; 4 bytes number of destinations; 8 bytes checksum (FNV-1a, 64 bit) of all before it
 */

#include "supervisor/admission/admission_view.h"

#define LEARNED_AGE (INT64_C(7) * 24 * 3600 * ADMISSION_SECOND)

/* At most 2.8 MB; a relay of a thousand users meets a few thousand domains in a week. */
#define LEARNED_MAX 20000

/* The limit says something of the present for so long. */
#define LEARNED_LIMIT_AGE (INT64_C(3600) * ADMISSION_SECOND)

/* `limit` is L. Returns 0 or a negative errno; then the old file is still there. Allocates nothing. */
int learned_save(int directory, const char *name, const struct admission *admission, unsigned limit,
                 int64_t now, int64_t wall);

/*
 * Returns how many destinations were taken over, or a negative errno: -ENOENT when there is no file, -EBADMSG when it was
 * damaged or of another version and has been removed. *limit is L as it was written, or 0 where there is none or it is older
 * than LEARNED_LIMIT_AGE. For the start: it allocates as much memory as the file is long, and frees it.
 */
int learned_load(int directory, const char *name, struct admission *admission, unsigned *limit,
                 int64_t now, int64_t wall);

#endif
