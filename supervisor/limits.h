#ifndef SUPERVISOR_LIMITS_H
#define SUPERVISOR_LIMITS_H

/*
 * What the dispatcher allows others to make it hold, and how long it waits for them. What their
 * messages may look like is limited in agents/limits.h; what the operator may change is in
 * supervisor/config/config.h.
 */

/* Bytes of requests held at a time; above, nothing is accepted. 2000 common requests are 2 MB. */
#define HELD_BYTES_MAX (UINT64_C(64) << 20)

/* An idle worker greets in a tenth of a millisecond, a new one in ten; on a machine that thrashes
 * in seconds. One that does not within this time is ended. Microseconds. */
#define GREET_TIMEOUT UINT64_C(60000000)

/*
 * After so many connections the status channel of a worker is emptied: it says two things for each,
 * and would stop for good when the channel is full. That is at 278 which are not read by the
 * kernel's own net.core.wmem_default (postfix-protocol.md 1.3), but at 85 when that is set to 64
 * KiB, and at 21 with 16 KiB: each takes 768 bytes of it.
 */
#define STATUS_CONNECTIONS 8

/* An idle worker is surplus after this time: it costs 1.2 to 1.6 MB. Stock's max_idle is 100 s. */
#define IDLE_SURPLUS UINT64_C(30000000)

/* Workers that start at the same time. A start is CPU: more at a time do not come sooner. */
#define STARTS_AT_ONCE 8

/* A message of this size is large, and its worker's connection is kept so long (fleet_part.c). qmgr(8)
 * answers 50 at a time in a twentieth of a second. Bytes, microseconds. */
#define PARTING_SIZE 65536
#define PARTING_TIME UINT64_C(100000)

/* Descriptors that are not for clients and workers: journal, channels, sources, the odd file. */
#define DESCRIPTORS_RESERVED 64

/* Conversations with retry(8) at a time: two defer 1900 requests in a second. */
#define DEFERRALS_AT_ONCE 2

/*
 * Time between two deferrals: 200 a second. Faster, those of a full waiting room take the CPU of
 * qmgr(8) while it hands over, and come back as the flood that they were. Microseconds.
 */
#define DEFERRALS_INTERVAL UINT64_C(5000)

/*
 * Parts that have to leave, above which nothing is accepted. As many as qmgr(8) can have active by
 * default (qmgr_message_active_limit), because it hands over in turn: good mail behind a flood that
 * is not accepted waits until all of the flood before it is deferred, which takes seconds (2.3 s
 * with 256 and 4000 messages).
 */
#define DEFERRING_MAX 20000

/* Deferrals that wait for retry(8) while victims leave in a hurry: a twentieth of a second. */
#define HURRY_PENDING 100

/* retry(8) answers in a millisecond, or is not there. Microseconds. */
#define RETRY_TIMEOUT UINT64_C(10000000)

/*
 * Parts beside one for each client, in multiples of waiting.max: each message that waits for a dead destination keeps one, and the
 * next has to be split all the same. Where there is no room for its parts, the dead one holds up the others.
 */
#define PARTS_EXTRA 4

/* "Never tried": it came into the active queue within this time of its arrival. Microseconds. */
#define FIRST_ATTEMPT_MAX INT64_C(60000000)

/* Time between two writes of what was learned of destinations. Microseconds. */
#define REMEMBER_EVERY UINT64_C(60000000)

/* Next hops that are known at a time. Where there are more, some of them are not known to be down, and each
 * of their destinations is judged by itself. 300 bytes each. */
#define NEXTHOPS_MAX 128

/*
 * Destinations of which is kept why their last delivery failed; of more, the oldest texts are dropped. A text is cut to the
 * size, its NUL included: a reply of a server has 60 to 150 bytes. 330 bytes each, 170 kB in all when used.
 */
#define FAILURES_MAX 512
#define FAILURE_TEXT_SIZE 200

/* A defer log is read for a destination this long after the last time, and not before. Microseconds. */
#define FAILURE_READ_EVERY UINT64_C(1000000)

/* Destinations that are known at a time; 200 bytes each, when used. */
#define DESTINATIONS_MAX 100000

#endif
