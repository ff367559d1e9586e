#ifndef TESTS_LIB_QUEUE_FILE_H
#define TESTS_LIB_QUEUE_FILE_H

/*
 * Postfix queue files, read as records: a type byte, a length of seven bits per byte with the lowest first, the data
 * (postfix-protocol.md, appendix A4). A pointer record ('p') that is not zero goes on elsewhere in the file; cleanup(8)
 * leaves such after a content filter or an address from a header has changed the message.
 *
 * Header only: a few tools and their unit test have a use for it. Nothing here does I/O: the caller has the whole file in memory.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define QUEUE_FILE_MAX (256L << 20) /* no test sends larger messages */
#define QUEUE_JUMPS_MAX 10000       /* a file whose pointers run in a circle ends here */

enum queue_record_type {
    QUEUE_RECORD_TIME = 'T',
    QUEUE_RECORD_ATTRIBUTE = 'A',
    QUEUE_RECORD_SENDER = 'S',
    QUEUE_RECORD_RECIPIENT = 'R', /* still to be delivered */
    QUEUE_RECORD_DONE = 'D',
    QUEUE_RECORD_MESSAGE = 'M', /* the content begins */
    QUEUE_RECORD_LINE = 'N',
    QUEUE_RECORD_LINE_PART = 'L', /* the line goes on in the next record */
    QUEUE_RECORD_EXTRACTED = 'X', /* the content has ended */
    QUEUE_RECORD_POINTER = 'p',
    QUEUE_RECORD_END = 'E'
};

struct queue_record {
    int type;
    size_t data; /* offset of the data in the file */
    size_t length;
};

struct queue_reader {
    const unsigned char *file;
    size_t size;
    size_t offset; /* of the next record; start with 0 */
    unsigned jumps;
};

/* The next record: 1, 0 after the end record, or -EBADMSG when the file is damaged or not complete. */
static inline int queue_reader_next(struct queue_reader *reader, struct queue_record *record)
{
    size_t at = reader->offset;
    unsigned shift = 0;
    char number[24];
    long target;

    if (at >= reader->size)
        return -EBADMSG;
    record->type = reader->file[at++];
    record->length = 0;
    for (;;) {
        if (at >= reader->size || shift > 28)
            return -EBADMSG;
        record->length |= (size_t)(reader->file[at] & 0x7f) << shift;
        shift += 7;
        if ((reader->file[at++] & 0x80) == 0)
            break;
    }
    if (record->length > reader->size - at)
        return -EBADMSG;
    record->data = at;
    reader->offset = at + record->length;
    if (record->type == QUEUE_RECORD_POINTER) {
        snprintf(number, sizeof(number), "%.*s", (int)(record->length < 20 ? record->length : 20),
                 (const char *)reader->file + at);
        target = strtol(number, NULL, 10);
        if (target < 0 || (size_t)target >= reader->size || ++reader->jumps > QUEUE_JUMPS_MAX)
            return -EBADMSG;
        if (target > 0)
            reader->offset = (size_t)target;
    }
    return record->type == QUEUE_RECORD_END ? 0 : 1;
}

#endif
