#ifndef SUPERVISOR_REPORT_HOLDS_H
#define SUPERVISOR_REPORT_HOLDS_H

/*
 * Destinations that an operator holds: HOLDS_FILE in Postfix's config_directory, where only root may write. headroomctl(8)
 * writes it, the dispatchers read it each second. One line for each hold, words apart by one blank, '#' begins a comment:
 *
 *     DESTINATION SERVICE SINCE UNTIL WHO
 *
 * SERVICE "-": all services. SINCE and UNTIL are seconds since 1970, UNTIL 0: until it is released. WHO is the user's name.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLDS_FILE "headroom.held"
#define HOLDS_MAX 64
#define HOLDS_TEXT_MAX 65536

struct hold {
    char destination[96]; /* ADMISSION_KEY */
    char service[128];
    int64_t since;
    int64_t until;
    char who[33];
};

struct holds {
    size_t count;
    struct hold hold[HOLDS_MAX];
    const char *cure; /* with -EPERM: who may change the file, and how to mend it */
};

/*
 * Reads the file; one that is not there has none. What has ended before `now` (seconds since 1970), and a line that is none,
 * is left out. 0; -EPERM: the file is not root's alone (or not that of `owner`, for a test), -E2BIG: more than HOLDS_MAX; or
 * another negative errno.
 */
int holds_read(const char *directory, unsigned owner, int64_t now, struct holds *holds);

/* Replaces the file. 0 or a negative errno. */
int holds_write(const char *directory, const struct holds *holds);

/* Whether it is one of this service. */
bool hold_is_of(const struct hold *hold, const char *service);

/* Whether this text can be a DESTINATION. */
bool hold_takes(const char *destination);

#endif
