#ifndef TESTS_UNIT_SAID_H
#define TESTS_UNIT_SAID_H

/*
 * What a module complains of, in the place of report/complaints.c and the log. The program's own
 * complain() is found before that of the archive.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/report/complaints.h"

static struct {
    unsigned times[COMPLAINTS];
    unsigned counted[COMPLAINTS]; /* without a line */
    char last[1024];
} said;

bool complain(struct complaints *complaints, enum complaint which, uint64_t now,
              const struct journal_field *fields, size_t count, const char *format, ...)
{
    va_list arguments;

    (void)complaints;
    (void)now;
    (void)fields;
    (void)count;
    said.times[which]++;
    va_start(arguments, format);
    vsnprintf(said.last, sizeof said.last, format, arguments);
    va_end(arguments);
    return true;
}

void complaints_count(struct complaints *complaints, enum complaint which)
{
    (void)complaints;
    said.counted[which]++;
}

#endif
