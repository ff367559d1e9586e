#ifndef SUPERVISOR_REPORT_STATUS_TABLE_H
#define SUPERVISOR_REPORT_STATUS_TABLE_H

/*
 * Every value of a snapshot, named once. Internal to status_write.c and status_read.c.
 */

#include "supervisor/report/status.h"

enum status_kind {
    STATUS_COUNT,  /* uint64_t */
    STATUS_BYTES,  /* uint64_t; null is STATUS_UNLIMITED */
    STATUS_TIME,   /* int64_t */
    STATUS_NUMBER, /* double */
    STATUS_FLAG,   /* bool */
    STATUS_TEXT,   /* char[] */
};

struct status_field {
    const char *section; /* the object that it is in, or "" */
    const char *name;
    enum status_kind kind;
    size_t offset;
    size_t size; /* of a text */
};

struct status_table {
    const struct status_field *field;
    size_t count;
};

/* Fields of one section stand together. */
extern const struct status_table status_table;
extern const struct status_table status_change_table;
extern const struct status_table status_destination_table;

#define STATUS_WHOLE_MAX (UINT64_C(1) << 53)

#endif
