#ifndef AGENTS_LIMITS_H
#define AGENTS_LIMITS_H

/*
 * Every limit on what Postfix's processes may send us, each with its reason. Postfix enforces none
 * of these itself (postfix-protocol.md 3): they exist so that no input makes us grow without bound.
 */

/* The longest name in the protocols that we speak has 18 characters: `original_recipient`. */
#define ATTR_NAME_MAX 64

/* Postfix's own strings end at 4 * line_length_limit = 8192; sites raise line_length_limit,
 * eightfold is enough. */
#define ATTR_VALUE_MAX 65536

/* qmgr holds at most qmgr_message_recipient_limit = 20000 recipients of a message in memory, and
   one recipient list with long addresses and DSN fields takes 800 bytes at most in practice: 16
   million bytes. */
#define REQUEST_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* Five times the default of qmgr_message_recipient_limit; bounds the memory of a split (24 bytes
 * each). */
#define REQUEST_RECIPIENTS_MAX 100000u

/* `active` has 6 characters, the longest queue name of Postfix, `maildrop`, 8. */
#define QUEUE_NAME_MAX 32

/* A long queue id has 6 + 4 + 1 characters and at most 12 for a 64-bit inode number. */
#define QUEUE_ID_MAX 64

/* dir_forest of Postfix is useful up to 2; hash_queue_depth is limited to 16 by Postfix itself. */
#define QUEUE_HASH_DEPTH_MAX 16

/* queue name, hash directories, queue id, separators, NUL */
#define QUEUE_PATH_SIZE (QUEUE_NAME_MAX + 1 + 2 * QUEUE_HASH_DEPTH_MAX + QUEUE_ID_MAX + 1)

/* A reply holds one reply line of a server (2048 by default) and a few short fields; as large as
 * one value may be. */
#define REPLY_BYTES_MAX 65536

/* 36 bytes in 3.6 ... 3.12, 10 in 3.4 and 3.5; room for one more attribute or two. */
#define GREETING_MAX 256

/* The text that retry(8) puts into the log and the defer record: one line, well below the 2000
 * bytes of a log record. */
#define REDIRECT_TEXT_MAX 500

/* The end of a defer log that is read: the record of a recipient that was just written. A record has some 400 bytes, and a
 * delivery writes one for each recipient that it leaves. */
#define DEFER_LOG_TAIL 16384

#endif
