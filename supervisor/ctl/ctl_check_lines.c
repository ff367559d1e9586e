#include "supervisor/ctl/ctl_check_lines.h"

#include <stdio.h>
#include <string.h>

#define RETRY_CURE "postconf -M retry/unix=\"retry unix - - n - - error\" && postfix reload"

static bool runs_headroom(const struct master_line *line)
{
    return strcmp(line->command, "headroom") == 0;
}

static void check_retry(const struct master_file *file, struct ctl_findings *findings)
{
    const struct master_line *retry = master_file_find(file, "retry", "unix", NULL);

    if (!retry)
        ctl_found(findings, CTL_WRONG, RETRY_CURE,
                  "master.cf has no service retry: what is deferred gets no record and no reason");
    else if (strcmp(retry->command, "error") != 0)
        ctl_found(findings, CTL_WRONG, RETRY_CURE,
                  "the service retry in master.cf runs %s, not error", retry->command);
    else
        ctl_found(findings, CTL_GOOD, NULL, "master.cf has the service retry");
}

void ctl_check_lines(const struct master_file *file, struct ctl_findings *findings)
{
    for (size_t i = 0; i < file->count; i++) {
        const struct master_line *line = &file->line[i];

        if (line->replaced_command && strcmp(line->replaced_command, "headroom") == 0 &&
            !runs_headroom(line))
            ctl_found(findings, CTL_WARNING, "remove one of the two, and postfix reload",
                      "master.cf: line %u of service %s runs headroom, but master(8) uses line %u, "
                      "which runs %s",
                      line->replaced, line->name, line->number, line->command);
    }
    check_retry(file, findings);
}

/* The service of the same name in the other directory. */
static const struct master_line *other_of(const struct master_file *file,
                                          const struct master_line *line)
{
    for (size_t i = 0; i < file->count; i++) {
        const struct master_line *other = &file->line[i];

        if (other != line && strcmp(other->name, line->name) == 0 &&
            strcmp(other->type, line->type) == 0)
            return other;
    }
    return NULL;
}

void ctl_check_line(const struct master_file *file, const struct master_line *line,
                    struct ctl_findings *findings)
{
    const struct master_line *other = other_of(file, line);

    if (strcmp(line->type, "unix") != 0)
        ctl_found(findings, CTL_WRONG, "write unix in the second column, as stock lmtp has it",
                  "master.cf: service %s is of type %s", line->name, line->type);
    else if (line->public && !other)
        ctl_found(findings, CTL_WARNING, "write - in the third column, as stock lmtp has it",
                  "master.cf: line %u of service %s is public: qmgr(8) asks the private one",
                  line->number, line->name);
    else if (line->public && runs_headroom(other))
        ctl_found(findings, CTL_WARNING, "write lmtp as the command of the public one",
                  "master.cf: lines %u and %u of service %s both run headroom; qmgr(8) asks the "
                  "private one only",
                  other->number, line->number, line->name);
    else if (line->public)
        ctl_found(findings, CTL_WARNING,
                  "name headroom in the private line, and lmtp in the public one",
                  "master.cf: line %u of service %s, which runs headroom, is public, but qmgr(8) "
                  "asks the private one of line %u, which runs %s",
                  line->number, line->name, other->number, other->command);
    else
        ctl_found(findings, CTL_GOOD, NULL, "master.cf: service %s runs headroom", line->name);
    if (line->replaced != 0)
        ctl_found(findings, CTL_WARNING, "remove one of the two, and postfix reload",
                  "master.cf: service %s is there twice: master(8) uses line %u and not line %u",
                  line->name, line->number, line->replaced);
    if (!line->public && other && !runs_headroom(other))
        ctl_found(findings, CTL_GOOD, NULL,
                  "master.cf: line %u, the public one of service %s, keeps postconf(1) from "
                  "warning; change line %u with an editor, because postconf -F and -M change both",
                  other->number, other->name, line->number);
}

/* Whether a filter, TRANSPORT:NEXTHOP, goes to that service. */
static bool goes_to(const char *filter, const char *name)
{
    size_t length = strlen(name);

    return strncmp(filter, name, length) == 0 && strchr(": \t}", filter[length]);
}

/* The line whose `-o content_filter=` names the service, or NULL. */
static const struct master_line *filtered_line(const struct master_file *file, const char *name)
{
    static const char setting[] = "content_filter=";

    for (size_t i = 0; i < file->count; i++) {
        const char *at = file->line[i].arguments;

        while ((at = strstr(at, setting))) {
            at += sizeof setting - 1;
            if (goes_to(at, name))
                return &file->line[i];
        }
    }
    return NULL;
}

void ctl_check_filter(const struct master_file *file, const struct master_line *line,
                      const char *content_filter, bool by_nexthop, struct ctl_findings *findings)
{
    const struct master_line *from = filtered_line(file, line->name);
    char where[64] = "main.cf";

    if (!goes_to(content_filter, line->name)) {
        if (!from)
            return;
        (void)snprintf(where, sizeof where, "line %u of master.cf", from->number);
    }
    if (by_nexthop)
        ctl_found(findings, CTL_GOOD, NULL,
                  "service %s is a content filter (content_filter, %s), and its destination.key is "
                  "nexthop",
                  line->name, where);
    else
        ctl_found(
            findings, CTL_WARNING,
            "write \"destination\": {\"key\": \"nexthop\"} for it: see headroom.json(5)",
            "service %s is a content filter (content_filter, %s): its messages may be split by "
            "domains that say nothing of the filter",
            line->name, where);
}
