/* headroom.json(5) says what the table of keys says: every key, in its order, with what it may be and its default. */

#include "supervisor/config/config.h"
#include "supervisor/config/config_file.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *page; /* the list of keys */

static void read_page(void)
{
    char *text = NULL;
    size_t length = 0;
    char *end;

    cr_assert_eq(config_file_read("packaging/headroom.json.5", &text, &length), 0,
                 "run from the top of the tree");
    text = realloc(text, length + 1);
    cr_assert_not_null(text);
    text[length] = '\0';
    page = strstr(text, "\n.Sh KEYS\n");
    cr_assert_not_null(page);
    end = strstr(page + 1, "\n.Sh ");
    cr_assert_not_null(end);
    page = strndup(page, (size_t)(end - page));
    free(text);
}

static void free_page(void)
{
    free(page);
}

TestSuite(config_manual, .init = read_page, .fini = free_page);

/* The next key's entry at or after `at`, behind its ".It Cm "; or NULL. */
static const char *entry_after(const char *at)
{
    const char *found = strstr(at, "\n.It Cm ");

    return found != NULL ? found + strlen("\n.It Cm ") : NULL;
}

/* What the page must say of a key. How sizes, times and percentages are written is told once, before the list. */
static void wanted_of(const struct config_key *key, char *buffer, size_t size)
{
    struct config defaults;
    char allowed[400];
    char standard[CONFIG_VALUE_SIZE];
    char word[32] = "";

    config_defaults(&defaults);
    config_print_allowed(key, allowed, sizeof allowed);
    cr_assert_eq(config_print_value(key, &defaults, standard, sizeof standard), 0);
    if (key->type == CONFIG_SIZE || key->type == CONFIG_TIME || key->type == CONFIG_PACES)
        allowed[strcspn(allowed, ":")] = '\0';
    else if (key->type == CONFIG_PERCENT)
        allowed[strcspn(allowed, ",")] = '\0';
    if (key->word != NULL)
        snprintf(word, sizeof word, ", or \"%s\"", key->word);
    if (key->type != CONFIG_BOOLEAN)
        allowed[0] = (char)toupper((unsigned char)allowed[0]);
    snprintf(buffer, size, "%s%s; default %s.", allowed, word, standard);
}

Test(config_manual, has_every_key_in_order_and_no_other)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    const char *entry = entry_after(page);

    for (size_t i = 0; i < count; i++, entry = entry_after(entry)) {
        cr_assert_not_null(entry, "%s is not in the page", keys[i].path);
        cr_assert_eq(strcspn(entry, "\n"), strlen(keys[i].path), "%s", keys[i].path);
        cr_assert_eq(strncmp(entry, keys[i].path, strlen(keys[i].path)), 0, "%s", keys[i].path);
    }
    cr_expect_null(entry);
}

Test(config_manual, has_the_bounds_and_defaults_of_the_table)
{
    size_t count;
    const struct config_key *keys = config_keys(&count);
    const char *entry = entry_after(page);

    for (size_t i = 0; i < count && entry != NULL; i++, entry = entry_after(entry)) {
        const char *text = strchr(entry, '\n') + 1;
        const char *end = strstr(text, "\n.Pp\n");
        char wanted[CONFIG_VALUE_SIZE + 500];
        char found[800];

        cr_assert_not_null(end, "%s", keys[i].path);
        snprintf(found, sizeof found, "%.*s", (int)(end - text), text);
        for (char *c = found; *c != '\0'; c++)
            if (*c == '\n')
                *c = ' ';
        wanted_of(&keys[i], wanted, sizeof wanted);
        cr_expect_str_eq(found, wanted, "%s: the page says\n%s\nand the table\n%s", keys[i].path,
                         found, wanted);
    }
}
