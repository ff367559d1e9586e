/*
 * The message catalog and the events speak of the same things: every event has one entry, no entry is without an event,
 * and an entry is made of what journalctl(1) shows: four headers, and a text that ends in what can be done.
 */

#include "supervisor/config/config_file.h"
#include "supervisor/journal/events.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_LENGTH 32
/* journalctl indents by three columns and does not wrap; a small terminal has eighty. Subjects hold fields of any length. */
#define WIDTH_MAX 77

static char *catalog;

static void read_catalog(void)
{
    char *text = NULL;
    size_t length = 0;

    cr_assert_eq(config_file_read("packaging/headroom.catalog", &text, &length), 0,
                 "run from the top of the tree");
    catalog = strndup(text, length);
    free(text);
    cr_assert_not_null(catalog);
}

static void free_catalog(void)
{
    free(catalog);
}

TestSuite(catalog, .init = read_catalog, .fini = free_catalog);

/* The next line that begins an entry, or NULL. */
static const char *entry_after(const char *at)
{
    const char *found = strstr(at, "\n-- ");

    return found != NULL ? found + 1 : NULL;
}

/* An entry without its first line, to be freed. */
static char *entry_text(const char *entry)
{
    const char *begin = strchr(entry, '\n') + 1;
    const char *next = entry_after(begin - 1);

    return strndup(begin, next != NULL ? (size_t)(next - begin) : strlen(begin));
}

static unsigned entries_of(const char *id)
{
    unsigned count = 0;

    for (const char *entry = entry_after(catalog); entry != NULL; entry = entry_after(entry))
        count += strncmp(entry + strlen("-- "), id, ID_LENGTH) == 0;
    return count;
}

Test(catalog, has_each_event_once)
{
    for (enum journal_event event = 0; event < EVENTS; event++)
        cr_expect_eq(entries_of(event_message_id(event)), 1, "%s", event_name(event));
}

Test(catalog, has_nothing_that_is_no_event)
{
    for (const char *entry = entry_after(catalog); entry != NULL; entry = entry_after(entry)) {
        const char *id = entry + strlen("-- ");
        bool known = false;

        cr_expect_eq(strcspn(id, "\n"), ID_LENGTH, "%.40s", id);
        for (enum journal_event event = 0; event < EVENTS; event++)
            known = known || strncmp(event_message_id(event), id, ID_LENGTH) == 0;
        cr_expect(known, "%.32s is the MESSAGE_ID of no event", id);
    }
}

Test(catalog, says_what_happened_and_what_can_be_done)
{
    static const char *const headers[] = {
        "Subject: ", "Defined-By: ", "Support: ", "Documentation: "};

    for (const char *entry = entry_after(catalog); entry != NULL; entry = entry_after(entry)) {
        char *text = entry_text(entry);
        const char *at = text;

        for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
            cr_assert_eq(strncmp(at, headers[i], strlen(headers[i])), 0, "%.32s lacks \"%s\"",
                         entry + 3, headers[i]);
            cr_expect(isgraph((unsigned char)at[strlen(headers[i])]), "%.32s", entry + 3);
            at = strchr(at, '\n') + 1;
        }
        cr_expect_eq(*at, '\n', "an empty line must end the headers of %.32s", entry + 3);
        cr_expect(strstr(at, "\nWhat can be done: ") != NULL ||
                      strstr(at, "Nothing has to be done.") != NULL,
                  "%.32s gives no advice", entry + 3);
        free(text);
    }
}

/* "@HEADROOM_STATE@" is replaced; anything else between two at signs would be shown as it is. */
Test(catalog, names_fields_well)
{
    const char *at = entry_after(catalog);
    unsigned fields = 0;

    while (at != NULL && (at = strchr(at, '@')) != NULL) {
        size_t length = strspn(at + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

        cr_assert_eq(strncmp(at + 1, "HEADROOM_", strlen("HEADROOM_")), 0, "%.30s", at);
        cr_assert_eq(at[1 + length], '@', "%.30s", at);
        at += length + 2;
        fields++;
    }
    cr_expect_gt(fields, 10);
}

Test(catalog, fits_a_screen)
{
    const char *line = catalog;

    for (size_t length = 0; *line != '\0'; line += length + (line[length] == '\n')) {
        length = strcspn(line, "\n");
        if (*line != '#' && strncmp(line, "Subject: ", strlen("Subject: ")) != 0)
            cr_expect_leq(length, WIDTH_MAX, "%.60s", line);
        for (size_t i = 0; i < length; i++)
            cr_expect(isprint((unsigned char)line[i]), "%.60s", line);
    }
}
