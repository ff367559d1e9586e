#ifndef SUPERVISOR_REPORT_STATUS_TABLE_H
#define SUPERVISOR_REPORT_STATUS_TABLE_H

/*
 * The table of all values of a snapshot. Internal to status_write.c and status_read.c.
 */

#include "supervisor/report/status.h"

enum status_kind {
    STATUS_COUNT,  /* uint64_t */
    STATUS_BYTES,  /* uint64_t; null is STATUS_UNLIMITED */
    STATUS_TIME,   /* int64_t */
    STATUS_NUMBER, /* double */
    STATUS_FLAG,   /* bool */
    STATUS_TEXT,   /* char[] */
    STATUS_WORD,   /* char[]: one of `words` */
};

struct status_field {
    const char *section; /* object that holds the value, or "" */
    const char *name;
    enum status_kind kind;
    size_t offset;
    size_t size;       /* of a STATUS_TEXT or STATUS_WORD */
    const char *words; /* of a STATUS_WORD: "ONE|OTHER" */
};

struct status_table {
    const struct status_field *field;
    size_t count;
};

/* Fields of one section stand together. */
extern const struct status_table status_table;
extern const struct status_table status_nexthop_table;
extern const struct status_table status_delivery_table;
extern const struct status_table status_change_table;
extern const struct status_table status_destination_table;

#define STATUS_WHOLE_MAX (UINT64_C(1) << 53)

#endif
