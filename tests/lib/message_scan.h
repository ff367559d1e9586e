#ifndef TESTS_LIB_MESSAGE_SCAN_H
#define TESTS_LIB_MESSAGE_SCAN_H

/*
 * What the tools want to know of a message, found line by line as it passes: its Message-ID, when it was sent, and, in
 * a delivery status report (RFC 3464), which recipients of which message it gives up.
 *
 * Header only: a few tools and their unit test have a use for it. Every line is given without its line end. A field that is longer
 * than its limit, or folded before its value, counts as missing: the generator writes none of that kind.
 */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MESSAGE_ID_MAX 256
#define MESSAGE_ADDRESS_MAX                                                                        \
    321 /* RFC 5321 4.5.3.1: 64 for the local part, 255 for the domain, '@' and NUL */
#define MESSAGE_FAILED_MAX 64 /* recipients in one report; Postfix hands over 50 at a time */

struct message_scan {
    bool in_body;
    char id[MESSAGE_ID_MAX]; /* with its angle brackets; empty when there is none */
    double sent_at;          /* X-Sent-At, seconds since 1970; negative when there is none */
    char original_id[MESSAGE_ID_MAX];
    char final_recipient[MESSAGE_ADDRESS_MAX];
    unsigned failed_count;
    char failed[MESSAGE_FAILED_MAX][MESSAGE_ADDRESS_MAX];
};

static inline void message_scan_begin(struct message_scan *scan)
{
    scan->in_body = false;
    scan->id[0] = '\0';
    scan->sent_at = -1;
    scan->original_id[0] = '\0';
    scan->final_recipient[0] = '\0';
    scan->failed_count = 0;
}

/* Copies the value of the field `name` (with its colon) to value; false when the line is another one or too long. */
static inline bool message_scan_field(const char *line, size_t length, const char *name,
                                      char *value, size_t size)
{
    size_t skip = strlen(name);

    if (length < skip || strncasecmp(line, name, skip) != 0)
        return false;
    while (skip < length && (line[skip] == ' ' || line[skip] == '\t'))
        skip++;
    while (length > skip && (line[length - 1] == ' ' || line[length - 1] == '\t'))
        length--;
    if (length == skip || length - skip >= size)
        return false;
    memcpy(value, line + skip, length - skip);
    value[length - skip] = '\0';
    return true;
}

static inline void message_scan_line(struct message_scan *scan, const char *line, size_t length)
{
    char value[MESSAGE_ADDRESS_MAX + 16];
    const char *address;

    if (!scan->in_body) {
        if (length == 0)
            scan->in_body = true;
        else if (message_scan_field(line, length, "X-Sent-At:", value, sizeof(value)))
            scan->sent_at = strtod(value, NULL);
        else
            message_scan_field(line, length, "Message-ID:", scan->id, sizeof(scan->id));
        return;
    }
    if (message_scan_field(line, length, "Message-ID:", scan->original_id,
                           sizeof(scan->original_id)))
        return;
    if (message_scan_field(line, length, "Final-Recipient:", value, sizeof(value))) {
        address = strchr(value, ';');
        if (address != NULL) {
            address += 1 + strspn(address + 1, " \t");
            snprintf(scan->final_recipient, sizeof(scan->final_recipient), "%s", address);
        }
    } else if (message_scan_field(line, length, "Action:", value, sizeof(value))) {
        if (strcasecmp(value, "failed") == 0 && scan->final_recipient[0] != '\0' &&
            scan->failed_count < MESSAGE_FAILED_MAX)
            memcpy(scan->failed[scan->failed_count++], scan->final_recipient, MESSAGE_ADDRESS_MAX);
        scan->final_recipient[0] = '\0';
    }
}

#endif
